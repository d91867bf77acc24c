import type { SluiceError } from '../errors.ts'
import { retryDelay } from './backoff.ts'
import { isKeysFault, isRequestsFault } from './failures.ts'
import type { Random } from './weights.ts'

/** An attempt that failed before its first token, and its target. */
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
  if (retry >= retries || !closed) return { step: 'next-target' }
  // Another key is another customer to the upstream, so `Retry-After` does not apply to it.
  if (isKeysFault(error) && freshKey) return { step: 'retry', afterMs: 0 }
  const afterMs = retryDelay(retry, error, random)
  return afterMs === undefined ? { step: 'next-target' } : { step: 'retry', afterMs }
}
