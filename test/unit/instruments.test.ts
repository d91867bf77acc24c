import { describe, expect, it } from 'vitest'
import { watchEventLoop } from '../../src/telemetry/process-metrics.ts'
import { streamDigest } from '../../src/telemetry/redact.ts'
import { Cell, Family, HistogramCell } from '../../src/telemetry/instruments.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'

const nextTurn = () => new Promise((resolve) => setImmediate(resolve))
const total = ({ counts }: HistogramCell) => counts.reduce((sum, count) => sum + count, 0)

describe('a histogram', () => {
  it('counts a value in the first bucket whose bound it does not exceed', () => {
    const histogram = new HistogramCell([1, 2])
    for (const value of [0, 1, 1.5, 2, 2.5, 100]) histogram.observe(value)
    expect(histogram.counts).toEqual([2, 2, 2])
    expect(histogram.sum).toBe(107)
  })

  it('keeps the digest of the latest stream of each bucket as its exemplar', () => {
    const histogram = new HistogramCell([1, 2])
    histogram.observeStream(0.5, 'str_a')
    histogram.observeStream(0.7, 'str_b')
    histogram.observeStream(9, 'str_c')
    histogram.observe(1.5)
    expect(histogram.exemplars.map((each) => each && [each.labelSet.stream, each.value])).toEqual([
      [streamDigest('str_b'), 0.7],
      undefined,
      [streamDigest('str_c'), 9],
    ])
    expect(histogram.counts).toEqual([2, 1, 1])
  })
})

describe('a family', () => {
  it('has one cell for each set of labels', () => {
    const family = new Family(() => new Cell())
    family.cell({ a: 'x', b: 'y' }).add(2)
    family.cell({ a: 'x', b: 'z' }).add()
    family.cell({ a: 'x', b: 'y' }).add()
    expect([...family.all()].map(({ labels, cell }) => [labels.b, cell.value])).toEqual([
      ['y', 3],
      ['z', 1],
    ])
  })
})

describe('the exposition', () => {
  it('accumulates buckets, and writes each bound as OpenMetrics wants it', async () => {
    const metrics = new Metrics()
    const histogram = metrics.histogram('event_loop_delay_seconds', {})
    for (const value of [0.0005, 0.9, 3, 11]) histogram.observe(value)
    const lines = (await metrics.text()).split('\n').filter((line) => line.startsWith('sluice_event_loop'))
    expect(lines).toContain('sluice_event_loop_delay_seconds_bucket{le="0.001"} 1')
    expect(lines).toContain('sluice_event_loop_delay_seconds_bucket{le="1.0"} 2')
    expect(lines).toContain('sluice_event_loop_delay_seconds_bucket{le="10.0"} 3')
    expect(lines).toContain('sluice_event_loop_delay_seconds_bucket{le="+Inf"} 4')
    expect(lines).toContain('sluice_event_loop_delay_seconds_count 4')
  })

  it('looks a watched gauge up each time', async () => {
    const metrics = new Metrics()
    let bytes = 1
    metrics.watch('log_bytes', {}, () => bytes)
    expect(await metrics.text()).toContain('\nsluice_log_bytes 1\n')
    bytes = 2
    expect(await metrics.text()).toContain('\nsluice_log_bytes 2\n')
  })
})

describe('the delay of the event loop', () => {
  it('is at least as long as something kept everything else waiting', async () => {
    const delay = new HistogramCell([0.1])
    const stop = watchEventLoop((milliseconds) => delay.observe(milliseconds / 1000))
    while (total(delay) === 0) await nextTurn()
    const before = delay.counts[1]!
    // Longer than the timer’s own period, so that it is late by more than the bound.
    const until = performance.now() + 300
    while (performance.now() < until);
    const counted = total(delay)
    while (total(delay) === counted) await nextTurn()
    expect(delay.counts[1]).toBe(before + 1)
    stop()
  })

  it('grows with every look, whoever reads it in between', async () => {
    const metrics = new Metrics()
    const delay = metrics.histogram('event_loop_delay_seconds', {})
    const stop = watchEventLoop((milliseconds) => delay.observe(milliseconds / 1000))
    while (total(delay) < 1) await nextTurn()
    await Promise.all([metrics.registry.metrics(), metrics.openMetrics.metrics()])
    const read = total(delay)
    while (total(delay) === read) await nextTurn()
    stop()
  })
})
