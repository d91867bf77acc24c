import type { ErrorCode, SluiceError } from '../errors.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Target } from './target.ts'

/** Told of every attempt, for metrics and logs. */
export interface RoutingObserver {
  /** `error` is why, when it failed; its code is `cancelled` when the attempt was given up from this side. */
  ended(target: Target, error: SluiceError | undefined): void
  /** A target is tried again, because of an error with this code. */
  retried(target: Target, reason: ErrorCode): void
}

/** The metrics of routing, and a line for each attempt that failed: a fallback hides it. */
export function observeRouting(metrics: Metrics, logger: Logger): RoutingObserver {
  return {
    ended({ name: target, provider: { name: provider } }, error) {
      const code = error?.code ?? 'ok'
      metrics.cell('upstream_requests_total', { provider, code }).add()
      if (!error || code === 'cancelled') return
      metrics.cell('upstream_errors_total', { provider, code }).add()
      logger.warn({ target, error: code, upstream_status: error.upstreamStatus }, 'attempt failed')
    },
    retried({ provider: { name: provider } }, reason) {
      metrics.cell('upstream_retries_total', { provider, reason }).add()
    },
  }
}
