import { ERROR_CODES } from '../errors.ts'
import { FINISH_REASONS } from '../stream/events.ts'
import { RESUME_RESULTS, type KnownModels, type Metrics } from './metrics.ts'
import { observeReaders } from './observe-readers.ts'

/** Codes with which an attempt is expected to fail. */
const FAILURES = ERROR_CODES.filter((code) => /^(upstream|provider)_/.test(code))

/**
 * Creates all series that are known beforehand with value 0: `rate()` misses the first event of a series that starts
 * at 1.
 */
export function startAtZero(metrics: Metrics, knownModels: KnownModels, protocols: readonly string[]): void {
  const readers = observeReaders(metrics)
  for (const protocol of protocols) readers(protocol)
  for (const [provider, models] of knownModels) {
    startProvider(metrics, provider, protocols)
    for (const model of models) {
      for (const type of ['prompt', 'completion']) metrics.cell('tokens_total', { provider, model, type })
      metrics.histogram('time_to_first_token_seconds', { provider, model })
    }
  }
  for (const result of RESUME_RESULTS) metrics.cell('resumes_total', { result })
}

function startProvider(metrics: Metrics, provider: string, protocols: readonly string[]): void {
  metrics.cell('streams_open', { provider })
  for (const protocol of protocols)
    for (const finish_reason of FINISH_REASONS) metrics.cell('streams_total', { provider, protocol, finish_reason })
  metrics.histogram('inter_token_latency_seconds', { provider })
  metrics.histogram('stream_duration_seconds', { provider })
  for (const code of ['ok', 'cancelled', ...FAILURES]) metrics.cell('upstream_requests_total', { provider, code })
  for (const code of FAILURES) {
    metrics.cell('upstream_errors_total', { provider, code })
    metrics.cell('upstream_retries_total', { provider, reason: code })
  }
}
