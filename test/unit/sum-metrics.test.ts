import { describe, expect, it, onTestFinished } from 'vitest'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { readExposition, sumExpositions, writeExposition } from '../../src/workers/exposition.ts'
import { SummedMetrics } from '../../src/workers/sum-metrics.ts'
import { readExposition as read } from '../support/exposition.ts'

const LABELS = { provider: 'a "b" \\ }\nc', protocol: 'native', finish_reason: 'stop' }

/** One worker that has counted this much. */
function metricsOf(count: number) {
  const metrics = new Metrics()
  for (let i = 0; i < count; i++) {
    metrics.cell('streams_total', LABELS).addStream(`s_${count}`)
    metrics.histogram('relay_latency_seconds', { protocol: 'native' }).observeStream(0.02, `s_${count}`)
  }
  metrics.cell('connections_open', { protocol: 'native' }).add(count)
  metrics.cell('log_bytes_limit', {}).add(100)
  metrics.cell('breakers_open', { provider: 'p' }).add(count)
  metrics.cell('build_info', { version: '1.2.3' }).add()
  return metrics
}

/** The value of the first sample of this name. */
const valueOf = (text: string, sample: string) =>
  [...read(text).values()].flatMap(({ samples }) => samples).find(({ name }) => name === sample)?.value

async function summed(open: boolean, ...counts: number[]) {
  const texts = await Promise.all(counts.map((count) => metricsOf(count).openMetrics.metrics()))
  return writeExposition(sumExpositions(texts.map(readExposition)), open)
}

describe('the metrics of several workers', () => {
  it.each([true, false])('add up, with OpenMetrics: %s', async (open) => {
    const text = await summed(open, 2, 3)
    expect(valueOf(text, 'sluice_streams_total')).toBe(5)
    expect(valueOf(text, 'sluice_connections_open')).toBe(5)
    expect(valueOf(text, 'sluice_relay_latency_seconds_count')).toBe(5)
    expect(valueOf(text, 'sluice_relay_latency_seconds_sum')).toBeCloseTo(0.1)
    expect(valueOf(text, 'sluice_log_bytes_limit')).toBe(200)
  })

  it('do not add up where the sum says nothing', async () => {
    const text = await summed(false, 2, 3)
    expect(valueOf(text, 'sluice_build_info')).toBe(1)
    expect(valueOf(text, 'nodejs_version_info')).toBe(1)
    expect(valueOf(text, 'sluice_breakers_open')).toBe(3)
    const started = valueOf(await new Metrics().text(), 'process_start_time_seconds')
    expect(valueOf(text, 'process_start_time_seconds')).toBe(started)
  })

  it('are those of a worker that is alone, in both formats', async () => {
    const only = metricsOf(2)
    /** Those of the process go on changing. */
    const own = (text: string) => text.split('\n').filter((line) => line.includes('sluice_'))
    const families = sumExpositions([readExposition(await only.openMetrics.metrics())])
    expect(own(writeExposition(families, true))).toEqual(own(await only.openMetrics.metrics()))
    expect(own(writeExposition(families, false))).toEqual(own(await only.registry.metrics()))
    expect(writeExposition(families, true)).toMatch(/\n# EOF\n$/)
  })

  it('keep the counters of workers that are gone or do not answer, and not their gauges', async () => {
    const workers = new SummedMetrics()
    onTestFinished(() => workers.close())
    const totals = async () => {
      const text = writeExposition(await workers.sum(), true)
      return [valueOf(text, 'sluice_streams_total'), valueOf(text, 'sluice_connections_open')]
    }
    let stuck = false
    workers.add(1, () => (stuck ? new Promise(() => {}) : metricsOf(1).openMetrics.metrics()))
    workers.add(2, () => metricsOf(2).openMetrics.metrics())
    workers.add(3, () => Promise.reject(new Error('It is gone.')))
    expect(await totals()).toEqual([3, 3])
    stuck = true
    expect(await totals()).toEqual([3, 2])
    workers.remove(2)
    expect(await totals()).toEqual([3, undefined])
    workers.add(4, () => metricsOf(4).openMetrics.metrics())
    expect(await totals()).toEqual([7, 4])
  })
})
