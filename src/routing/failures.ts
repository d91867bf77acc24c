import { failureOf, fromStreamError, type SluiceError } from '../errors.ts'
import type { Done } from '../stream/events.ts'
import { AnswerTooLongError } from './attempt-timeouts.ts'

/** The failure that a provider's `done` tells of, if it does. */
export function errorOf(done: Done): SluiceError | undefined {
  return done.finish_reason === 'error' ? fromStreamError(failureOf(done)) : undefined
}

/** Nobody else would answer this request either. */
export function isRequestsFault({ code }: SluiceError): boolean {
  return code === 'upstream_rejected' || code === 'invalid_request'
}

/** Another key may do better: this one is wrong, may not, or has been used too much. */
export function isKeysFault({ code }: SluiceError): boolean {
  return code === 'upstream_auth' || code === 'upstream_rate_limited'
}

/** The target, or its last key, is rate-limited: it is healthy, and wants the next request later. */
export function isRateLimit({ code }: SluiceError): boolean {
  return code === 'upstream_rate_limited'
}

/**
 * Likely to affect other requests to this target. Non-retryable failures are the request's own, except a refused key.
 */
export function isTargetsFault(error: SluiceError): boolean {
  if (isRateLimit(error) || error instanceof AnswerTooLongError) return false
  return error.retryable || error.code === 'upstream_auth'
}
