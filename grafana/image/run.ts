import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stringify } from 'yaml'
import type { Panel } from '../panel.ts'
import { startPrometheusServer, type Series } from '../prometheus-server.ts'
import { startGatewayProcess } from './gateway-process.ts'
import { Traffic } from './traffic.ts'
import { StandInUpstream } from './upstream.ts'

export interface Drawable {
  panel: Panel
  /** Of each of its queries. */
  results: { legend: string; series: Series[] }[]
}

export interface Mark {
  /** Seconds since the epoch. */
  at: number
  text: string
}

export interface Run {
  start: number
  end: number
  step: number
  marks: Mark[]
  drawables: Drawable[]
}

const STEP_S = 2

/** Drives two gateways for some minutes, with mishaps, and asks a real Prometheus for what the panels show. */
export async function runAndQuery(prometheusProgram: string, panels: readonly Panel[], seconds: number): Promise<Run> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-image-'))
  const cleanup: (() => Promise<void> | void)[] = [() => rm(folder, { recursive: true, force: true })]
  try {
    const upstream = new StandInUpstream()
    const baseUrl = await upstream.start()
    cleanup.push(() => upstream.stop())
    const configFile = join(folder, 'sluice.yaml')
    await writeFile(configFile, configure(baseUrl))
    const gateways = await Promise.all([startGatewayProcess(configFile), startGatewayProcess(configFile)])
    for (const { stop } of gateways) cleanup.push(stop)
    const targets = gateways.map(({ url }) => url)
    const prometheus = await startPrometheusServer(prometheusProgram, { targets, interval: '1s' })
    cleanup.push(prometheus.stop)
    await sleep(8000) // Until it has scraped them twice.

    const start = Date.now() / 1000
    const marks = await play(new Traffic(targets), upstream, seconds)
    const end = Date.now() / 1000
    const range = { start, end, step: STEP_S }
    const drawables = await Promise.all(
      panels.map(async (panel) => ({
        panel,
        results: await Promise.all(
          queriesOf(panel).map(async ({ expression, legend }) => ({
            legend,
            series: await prometheus.queryRange(fillIn(expression), range),
          })),
        ),
      })),
    )
    return { ...range, marks, drawables }
  } finally {
    for (const step of cleanup.toReversed()) await step()
  }
}

/** What happens, and when. */
async function play(traffic: Traffic, upstream: StandInUpstream, seconds: number): Promise<Mark[]> {
  const marks: Mark[] = []
  const mark = (text: string) => marks.push({ at: Date.now() / 1000, text })
  const end = new AbortController()
  const flow = traffic.flow((elapsed) => 5 + 4 * Math.sin(elapsed / 1000 / (seconds / 12)), end.signal)
  const part = (of: number) => sleep(seconds * of * 1000)
  await part(0.25)
  mark('a provider refuses everything')
  upstream.refuses = true
  await part(0.2)
  mark('it answers again')
  upstream.refuses = false
  await part(0.2)
  mark('all native readers lose their connections')
  traffic.cutAll()
  await part(0.15)
  mark('four readers stop reading')
  await Promise.all([part(0.2), ...Array.from({ length: 4 }, () => traffic.stall(seconds * 200))])
  end.abort()
  await flow
  return marks
}

function configure(upstreamUrl: string): string {
  return stringify({
    slowReaderMs: 5000,
    streamMaxBytes: '64mb',
    mock: true,
    providers: { provider: { type: 'openai', baseUrl: upstreamUrl, apiKey: 'unused', models: ['model', 'large'] } },
    models: { assistant: [{ target: 'provider/model', retries: 1 }, 'mock/mock'] },
    breaker: { failures: 5, cooldownMs: 5000 },
  })
}

export function queriesOf(panel: Panel): readonly { expression: string; legend: string }[] {
  switch (panel.kind) {
    case 'time series':
      return panel.queries
    case 'stat':
      return [{ expression: panel.query, legend: panel.title }]
    case 'heatmap':
      return [{ expression: panel.query, legend: '{{le}}' }]
  }
}

/** As Grafana does; the interval for rates is a little longer than its four scrapes, for smoother lines. */
function fillIn(expression: string): string {
  return expression.replaceAll('$job', 'sluice').replaceAll('$instance', '.+').replaceAll('$__rate_interval', '8s')
}
