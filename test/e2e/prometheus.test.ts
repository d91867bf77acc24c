import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { streamDigest } from '../../src/telemetry/redact.ts'
import { startGateway } from '../support/gateway.ts'
import { describeWith } from '../support/programs.ts'
import { startPrometheus, type Vector } from '../support/prometheus.ts'
import { chat, open } from '../support/reader.ts'

interface Targets {
  activeTargets: { health: string; lastError: string }[]
}

type Exemplars = { seriesLabels: Record<string, string>; exemplars: { labels: Record<string, string> }[] }[]

const QUICK = { mock: { tokens: 5, interval_ms: 1 } }

describeWith('promtool', 'what Prometheus’s own linter says of the metrics', (program) => {
  it('is nothing', async () => {
    const gateway = await startGateway()
    await (await chat(gateway.url, QUICK)).end()
    const { body } = await (await open(`${gateway.url}/metrics`)).end()
    expect(() => execFileSync(program, ['check', 'metrics'], { input: body, stdio: 'pipe' })).not.toThrow()
  })
})

describeWith('prometheus', 'a Prometheus that scrapes the gateway', (program) => {
  it('reads all that is exposed, counts every stream, and keeps the exemplars', async () => {
    const gateway = await startGateway()
    const prometheus = await startPrometheus(program, gateway.url)
    const count = 'sum(sluice_streams_total{finish_reason="stop"})'
    const is = (value: string) => (data: Vector) => data.result[0]?.value[1] === value
    await prometheus.askUntil<Vector>('/api/v1/query', { query: count }, is('0'))
    const first = await (await chat(gateway.url, QUICK)).end()
    await prometheus.askUntil<Vector>('/api/v1/query', { query: count }, is('1'))
    // One scrape may be late, on a busy machine.
    const isUp = ({ activeTargets: [only] }: Targets) => only?.health === 'up' && only.lastError === ''
    await prometheus.askUntil<Targets>('/api/v1/targets', {}, isUp)

    const from = String(Date.now() / 1000 - 600)
    const range = { start: from, end: String(Date.now() / 1000 + 600) }
    for (const query of [
      'sluice_time_to_first_token_seconds_bucket',
      'sluice_stream_duration_seconds_bucket',
      'sluice_streams_total',
    ]) {
      const found = await prometheus.ask<Exemplars>('/api/v1/query_exemplars', { query, ...range })
      expect(found.flatMap(({ exemplars }) => exemplars.map(({ labels }) => labels))).toEqual([
        { stream: streamDigest(first.id) },
      ])
    }
  })

  it('sees the first event of a series, because the series was there at 0', async () => {
    const gateway = await startGateway()
    const prometheus = await startPrometheus(program, gateway.url)
    const ready = (data: Vector) => data.result.length > 0
    await prometheus.askUntil<Vector>('/api/v1/query', { query: 'sluice_streams_total' }, ready)
    await (await chat(gateway.url, { mock: { tokens: 5, interval_ms: 1, fail_at: 2 } })).end()
    const query = 'sum(increase(sluice_streams_total{finish_reason="error"}[1m])) > 0'
    expect(await prometheus.askUntil<Vector>('/api/v1/query', { query }, ready)).toBeTruthy()
  })
})
