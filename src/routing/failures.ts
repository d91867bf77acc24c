import { failureOf, fromStreamError, type SluiceError } from '../errors.ts'
import type { Done } from '../stream/events.ts'
import { AnswerTooLongError } from './attempt-timeouts.ts'

/** The failure that a provider's `done` reports, if any. */
export function errorOf(done: Done): SluiceError | undefined {
  return done.finish_reason === 'error' ? fromStreamError(failureOf(done)) : undefined
}

/** The request itself is at fault: every other target would reject it, too. */
export function isRequestsFault({ code }: SluiceError): boolean {
  return code === 'upstream_rejected' || code === 'invalid_request'
}

/** Another key may work: this one is invalid, lacks permission, or is rate-limited. */
export function isKeysFault({ code }: SluiceError): boolean {
  return code === 'upstream_auth' || code === 'upstream_rate_limited'
}

/** The target or its last key is rate-limited: it is healthy, but asks for later requests. */
export function isRateLimit({ code }: SluiceError): boolean {
  return code === 'upstream_rate_limited'
}

/**
 * Likely to affect other requests to this target. A non-retryable failure concerns one request only, but a refused key.
 */
export function isTargetsFault(error: SluiceError): boolean {
  if (isRateLimit(error) || error instanceof AnswerTooLongError) return false
  return error.retryable || error.code === 'upstream_auth'
}
