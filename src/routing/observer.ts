import type { ErrorCode, SluiceError } from '../errors.ts'
import type { Done } from '../stream/events.ts'
import type { Target } from './target.ts'

/** Notified of every attempt of a request, for metrics, logs and traces. */
export interface RoutingObserver {
  started(target: Target): AttemptObserver
  /** A target is retried because of an error with this code. */
  retried(target: Target, reason: ErrorCode): void
}

/** Notified of one attempt. */
export interface AttemptObserver {
  /** Headers that propagate the attempt's trace context to the upstream. */
  readonly traceHeaders?: Readonly<Record<string, string>>
  /** Its first token has come. */
  answered(): void
  /**
   * Called once, last. `error` is set when the attempt failed; its code is `cancelled` when the gateway aborted it.
   * `done` is the provider's, if it came.
   */
  ended(error: SluiceError | undefined, done: Done | undefined): void
}
