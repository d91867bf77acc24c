import { expect, it } from 'vitest'
import { describeWith } from '../support/programs.ts'
import { record, type Recording } from './recording.ts'

/** Panels that are at 0 when all is well. */
const ZERO = new Set([
  'Instances down',
  'Lost lines of the usage log',
  'Shared streams',
  'Losses of nodes',
  'Reloads of the configuration',
])

/** Panels of metrics that only a gateway with several workers has, or one with TLS. */
const NO_DATA = new Set(['Workers', 'Time until the certificate expires'])

describeWith('prometheus', 'what a real Prometheus makes of real streams', (program) => {
  let recording: Promise<Recording> | undefined
  /** One run for all tests: whichever comes first waits for it. */
  const recorded = () => (recording ??= record(program))

  it('fills every panel with numbers', async () => {
    for (const { title, expression, series } of (await recorded()).panels) {
      const values = series.flatMap((each) => each.values.map(([, value]) => value))
      expect(values.every(Number.isFinite), `${title} has numbers only: ${expression}`).toBe(true)
      if (NO_DATA.has(title)) continue
      expect(values.length, `${title} has data: ${expression}`).toBeGreaterThan(0)
      if (!ZERO.has(title)) expect(Math.max(...values), `${title} shows what happened`).toBeGreaterThan(0)
    }
  })

  it('shows ratios of 0 when nothing happens, and no panel anything that is not a number', async () => {
    const { idle } = await recorded()
    for (const { title, unit, series } of idle) {
      const values = series.flatMap((each) => each.values.map(([, value]) => value))
      expect(values.every(Number.isFinite), title).toBe(true)
      if (unit === 'percentunit') expect(values, title).not.toEqual([])
    }
  })

  it('leads from the time to a first token to the streams that it took', async () => {
    const { examples } = await recorded()
    expect(examples).not.toEqual([])
    for (const { streams, expression } of examples) {
      expect(streams, expression).not.toEqual([])
      for (const stream of streams) expect(stream).toMatch(/^[\da-f]{16}$/)
    }
  })

  it('evaluates every rule, and records numbers', async () => {
    const { rules, recorded: records } = await recorded()
    expect(rules.length).toBeGreaterThan(20)
    expect(rules.filter(({ health, lastError }) => health !== 'ok' || lastError)).toEqual([])
    for (const { name, series } of records) {
      const values = series.flatMap((each) => each.values.map(([, value]) => value))
      expect(values.length, `${name} has data`).toBeGreaterThan(0)
      expect(values.every(Number.isFinite), `${name} has numbers only`).toBe(true)
      const [level = ''] = name.split(':')
      for (const { metric } of series) {
        const labels = Object.keys(metric).filter((label) => label !== '__name__')
        expect(labels.toSorted(), name).toEqual(level.split('_').toSorted())
      }
    }
  })

  it('agrees with what the clients counted, frame by frame and token by token', async () => {
    const { tally, attempts, counter } = await recorded()
    expect(counter('sluice_frames_sent_total', 'protocol', 'event')).toEqual(tally.frames)
    expect(counter('sluice_sent_bytes_total', 'protocol')).toEqual(tally.bytes)
    expect(counter('sluice_tokens_total', 'provider', 'model', 'type')).toEqual(tally.tokens)
    expect(counter('sluice_streams_total', 'provider', 'protocol', 'finish_reason')).toEqual(tally.streams)
    expect(counter('sluice_time_to_first_token_seconds_count', 'provider')).toEqual(tally.firstTokens)
    expect(counter('sluice_resumes_total', 'result')).toEqual(tally.resumes)
    expect(counter('sluice_upstream_requests_total', 'provider')).toMatchObject(attempts)
  })

  it('tells which readers did not read, and which did not come back', async () => {
    const { unruly } = await recorded()
    expect(unruly('sluice_slow_readers_closed_total')).toEqual({ '': 1 })
    expect(unruly('sluice_streams_total', 'provider', 'finish_reason')).toEqual({
      'flood stop': 1,
      'mock cancelled': 1,
      'mock error': 2,
    })
    expect(unruly('sluice_backpressure_waits_total')['']).toBeGreaterThan(0)
  })

  it('tells which requests failed or were refused, by route and status', async () => {
    const { unruly } = await recorded()
    expect(unruly('sluice_http_requests_total', 'method', 'route', 'status')).toMatchObject({
      'POST /v1/chat 200': 2,
      'POST /v1/chat 400': 2,
      'POST /v1/chat 403': 2,
      'POST /v1/chat/completions 502': 2,
      'GET other 404': 2,
    })
  })
})
