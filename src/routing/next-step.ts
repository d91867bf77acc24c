// What follows a failed attempt: whose fault it was, what is tried next, and after how long.

import { fromFailedDone, type SluiceError } from '../errors.ts'
import type { Random } from './target.ts'
import type { Done } from '../stream/events.ts'
import { AnswerTooLongError } from './attempt-timeouts.ts'

/** An attempt that failed before anything of it was passed on, and its target. */
export interface FailedAttempt {
  error: SluiceError
  /** Retries of this target before it. */
  retry: number
  /** How many retries its target may have. */
  retries: number
  /** The breaker of its target is closed. */
  closed: boolean
  /** The target has a key that has not been refused. */
  freshKey: boolean
}

export type NextStep =
  | { step: 'retry'; afterMs: number }
  | { step: 'next-target' }
  /** No other target is tried. */
  | { step: 'fail' }

/** Decides on a retry, a fallback or failure after a failed attempt. All such decisions are made here. */
export function nextStep({ error, retry, retries, closed, freshKey }: FailedAttempt, random: Random): NextStep {
  if (isRequestsFault(error)) return { step: 'fail' }
  // An answer that took the whole of its time would take it again.
  if (retry >= retries || !closed || error instanceof AnswerTooLongError) return { step: 'next-target' }
  // Another key is another customer to the upstream, so `Retry-After` does not apply to it.
  if (isKeysFault(error) && freshKey) return { step: 'retry', afterMs: 0 }
  const afterMs = retryDelay(retry, error, random)
  return afterMs === undefined ? { step: 'next-target' } : { step: 'retry', afterMs }
}

/** The failure that a provider's `done` reports, if any. */
export function errorOf(done: Done): SluiceError | undefined {
  return done.finish_reason === 'error' ? fromFailedDone(done) : undefined
}

/** The request itself is at fault: every other target would reject it, too. */
function isRequestsFault({ code }: SluiceError): boolean {
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

const BASE_MS = 250
const CAP_MS = 8000

/** Longest `Retry-After` that a run waits for; beyond it there is no retry. */
const LONGEST_WISH_MS = 10_000

/**
 * How long to wait before a retry, in milliseconds: the upstream's `Retry-After` plus a random part (full jitter) of an
 * exponential backoff, so that requests that failed together do not retry together. Undefined when the error is not
 * retryable or `Retry-After` is too long.
 *
 * @param retry 0 for the first retry
 */
export function retryDelay(
  retry: number,
  { retryable, retryAfter = 0 }: SluiceError,
  random: Random,
): number | undefined {
  if (!retryable || retryAfter * 1000 > LONGEST_WISH_MS) return undefined
  return retryAfter * 1000 + random() * Math.min(CAP_MS, BASE_MS * 2 ** retry)
}
