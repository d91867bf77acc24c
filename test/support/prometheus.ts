import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import {
  startPrometheusServer,
  type PrometheusOptions,
  type PrometheusServer,
} from '../../grafana/prometheus-server.ts'

export interface Prometheus extends Pick<PrometheusServer, 'queryRange'> {
  /** The `data` of what its HTTP API answers: https://prometheus.io/docs/prometheus/latest/querying/api/ */
  ask<T>(path: string, parameters?: Record<string, string>): Promise<T>
  /** Asks until the answer fits: it scrapes when it likes. */
  askUntil<T>(path: string, parameters: Record<string, string>, fits: (data: T) => boolean): Promise<T>
}

/** What `/api/v1/query` answers for an expression. */
export interface Vector {
  result: { metric: Record<string, string>; value: [number, string] }[]
}

/** A Prometheus that scrapes gateways many times a second; stopped when the test is over. */
export async function startPrometheus(
  program: string,
  targets: string | readonly string[],
  options: Omit<PrometheusOptions, 'targets'> = {},
): Promise<Prometheus> {
  const server = await startPrometheusServer(program, { targets: [targets].flat(), ...options })
  onTestFinished(server.stop)
  const ask = async <T>(path: string, parameters?: Record<string, string>) => (await server.ask(path, parameters)) as T
  return {
    ask,
    queryRange: server.queryRange,
    async askUntil<T>(path: string, parameters: Record<string, string>, fits: (data: T) => boolean) {
      for (;;) {
        const data = await ask<T>(path, parameters)
        if (fits(data)) return data
        await sleep(20)
      }
    },
  }
}
