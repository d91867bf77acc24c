import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { z } from 'zod'

export interface PrometheusOptions {
  /** URLs of gateways. */
  targets: readonly string[]
  /** How often it scrapes them, and evaluates the rules. */
  interval?: string
  /** Files of rules, by their absolute paths. */
  rules?: readonly string[]
}

export interface PrometheusServer {
  /** The `data` of what its HTTP API answers: https://prometheus.io/docs/prometheus/latest/querying/api/ */
  ask: (path: string, parameters?: Record<string, string>) => Promise<unknown>
  queryRange: (expression: string, range: Range) => Promise<Series[]>
  stop: () => Promise<void>
}

/** Times in seconds. */
export interface Range {
  start: number
  end: number
  step: number
}

const matrix = z.object({
  result: z.array(
    z.object({ metric: z.record(z.string(), z.string()), values: z.array(z.tuple([z.number(), z.coerce.number()])) }),
  ),
})

/** Its labels, and its values with their times in seconds. */
export type Series = z.infer<typeof matrix>['result'][number]

const answer = z.union([z.object({ error: z.string() }), z.object({ data: z.unknown() })])

/** Starts a Prometheus with an empty storage that keeps exemplars. @throws Error with its log when it does not start */
export async function startPrometheusServer(program: string, options: PrometheusOptions): Promise<PrometheusServer> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-prometheus-'))
  const port = await freePort()
  await writeFile(join(folder, 'prometheus.yaml'), stringify(configure(options)))
  const flags = {
    'config.file': join(folder, 'prometheus.yaml'),
    'storage.tsdb.path': join(folder, 'data'),
    'web.listen-address': `127.0.0.1:${port}`,
    'enable-feature': 'exemplar-storage',
  }
  const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`)
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const closed = new Promise<void>((resolve) => child.on('close', () => resolve()))

  async function stop(): Promise<void> {
    child.kill('SIGKILL')
    await closed
    await rm(folder, { recursive: true, force: true })
  }

  let log = ''
  try {
    await new Promise<void>((resolve, reject) => {
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        log += text
        if (log.includes('Server is ready to receive web requests')) resolve()
      })
      child.on('error', reject)
      child.on('close', () => reject(new Error(`Prometheus did not start: ${log}`)))
    })
  } catch (error) {
    await stop()
    throw error
  }

  async function ask(path: string, parameters: Record<string, string> = {}): Promise<unknown> {
    const response = await fetch(`http://127.0.0.1:${port}${path}?${new URLSearchParams(parameters).toString()}`)
    const parsed = answer.parse(await response.json())
    if ('error' in parsed) throw new Error(`${parsed.error}: ${JSON.stringify(parameters)}`)
    return parsed.data
  }

  return {
    ask,
    stop,
    async queryRange(query, { start, end, step }) {
      const range = { start: String(start), end: String(end), step: String(step) }
      return matrix.parse(await ask('/api/v1/query_range', { query, ...range })).result
    },
  }
}

function configure({ targets, interval = '100ms', rules = [] }: PrometheusOptions) {
  return {
    global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
    rule_files: rules,
    scrape_configs: [
      { job_name: 'sluice', static_configs: [{ targets: targets.map((target) => new URL(target).host) }] },
    ],
  }
}

/** Prometheus is told its port, so one must be found for it. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('There is no free port')
  return address.port
}
