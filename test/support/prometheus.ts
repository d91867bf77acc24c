import { spawn } from 'node:child_process'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import { makeFolder } from './process.ts'

export interface Prometheus {
  /** The `data` of what its HTTP API answers: https://prometheus.io/docs/prometheus/latest/querying/api/ */
  ask<T>(path: string, parameters?: Record<string, string>): Promise<T>
  /** Asks until the answer fits: it scrapes when it likes. */
  askUntil<T>(path: string, parameters: Record<string, string>, fits: (data: T) => boolean): Promise<T>
}

/** A Prometheus with an empty storage that keeps exemplars, and scrapes `target` many times a second. */
export async function startPrometheus(program: string, target: string): Promise<Prometheus> {
  const port = await freePort()
  const folder = await makeFolder({
    'prometheus.yaml': `
      global: { scrape_interval: 100ms, scrape_timeout: 100ms }
      scrape_configs:
        - job_name: sluice
          static_configs: [{ targets: ['${new URL(target).host}'] }]
    `,
  })
  const options = {
    'config.file': join(folder, 'prometheus.yaml'),
    'storage.tsdb.path': join(folder, 'data'),
    'web.listen-address': `127.0.0.1:${port}`,
    'enable-feature': 'exemplar-storage',
  }
  const args = Object.entries(options).map(([name, value]) => `--${name}=${value}`)
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const closed = new Promise<void>((resolve) => child.on('close', () => resolve()))
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await closed
  })
  let log = ''
  await new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text
      if (log.includes('Server is ready to receive web requests')) resolve()
    })
    child.on('close', () => reject(new Error(`Prometheus did not start: ${log}`)))
  })

  async function ask<T>(path: string, parameters: Record<string, string> = {}): Promise<T> {
    const response = await fetch(`http://127.0.0.1:${port}${path}?${new URLSearchParams(parameters).toString()}`)
    const { data, error } = (await response.json()) as { data: T; error?: string }
    if (error !== undefined) throw new Error(error)
    return data
  }
  return {
    ask,
    async askUntil<T>(path: string, parameters: Record<string, string>, fits: (data: T) => boolean) {
      for (;;) {
        const data = await ask<T>(path, parameters)
        if (fits(data)) return data
        await sleep(20)
      }
    },
  }
}

/** Prometheus is told its port, so one must be found for it. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
