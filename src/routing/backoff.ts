import { setTimeout as sleep } from 'node:timers/promises'
import type { SluiceError } from '../errors.ts'
import type { Random } from './weights.ts'

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

/** Waits; resolves at once when `signal` is aborted. */
export type Pause = (milliseconds: number, signal: AbortSignal) => Promise<void>

export const pause: Pause = (milliseconds, signal) => sleep(milliseconds, undefined, { signal }).catch(() => {})
