import type { ErrorCode, SluiceError } from '../errors.ts'
import type { Done } from '../stream/events.ts'
import type { Logger } from '../telemetry/logger.ts'
import { streamDigest } from '../telemetry/stream-digest.ts'
import type { TraceHeaders } from '../telemetry/tracing.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Target } from './target.ts'

/** Told of every attempt, for metrics, logs and traces. */
export interface RoutingObserver {
  started(target: Target, streamId: string): AttemptObserver
  /** A target is tried again, because of an error with this code. */
  retried(target: Target, reason: ErrorCode): void
}

/** Told of one attempt. */
export interface AttemptObserver {
  /** Headers that tell the upstream of the trace that the attempt is part of. */
  readonly traceHeaders?: TraceHeaders
  /** Its first token has come. */
  answered(): void
  /**
   * Once, and last. `error` is why, when it failed; its code is `cancelled` when the attempt was given up from this
   * side. `done` is what its provider has said, if it has come that far.
   */
  ended(error: SluiceError | undefined, done: Done | undefined): void
}

/** The metrics of routing, and a line for each attempt that failed: a fallback hides it. */
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
