import type { ErrorCode, SluiceError } from '../errors.ts'
import type { Done } from '../stream/events.ts'
import type { Logger } from '../telemetry/logger.ts'
import { streamDigest } from '../telemetry/stream-digest.ts'
import type { TraceHeaders } from '../telemetry/tracing.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Target } from './target.ts'

/** Notified of every attempt, for metrics, logs and traces. */
export interface RoutingObserver {
  started(target: Target, streamId: string): AttemptObserver
  /** A target is retried because of an error with this code. */
  retried(target: Target, reason: ErrorCode): void
}

/** Notified of one attempt. */
export interface AttemptObserver {
  /** Headers that propagate the attempt's trace context to the upstream. */
  readonly traceHeaders?: TraceHeaders
  /** Its first token has come. */
  answered(): void
  /**
   * Called once, last. `error` is set when the attempt failed; its code is `cancelled` when the gateway aborted it.
   * `done` is the provider's, if it came.
   */
  ended(error: SluiceError | undefined, done: Done | undefined): void
}

/** Records routing metrics, and logs each failed attempt, since a fallback hides it from the client. */
export function observeRouting(metrics: Metrics, logger: Logger): RoutingObserver {
  return {
    started: ({ name: target, provider: { name: provider } }, streamId) => ({
      answered() {},
      ended(error) {
        const code = error?.code ?? 'ok'
        metrics.cell('upstream_requests_total', { provider, code }).add()
        if (!error || code === 'cancelled') return
        metrics.cell('upstream_errors_total', { provider, code }).add()
        const stream = streamDigest(streamId)
        logger.warn({ stream, target, error: code, upstream_status: error.upstreamStatus }, 'attempt failed')
      },
    }),
    retried({ provider: { name: provider } }, reason) {
      metrics.cell('upstream_retries_total', { provider, reason }).add()
    },
  }
}
