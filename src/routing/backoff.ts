import { setTimeout as sleep } from 'node:timers/promises'
import type { SluiceError } from '../errors.ts'
import type { Random } from './weights.ts'

const BASE_MS = 250
const CAP_MS = 8000

/** Nobody is kept waiting for a first token longer than this because an upstream asks for it. */
const LONGEST_WISH_MS = 10_000

/**
 * How long to wait before a retry, in milliseconds: what the upstream asked for, and on top of it a random part of a
 * time that doubles with each retry, so that those who failed together do not return together. Undefined when a retry
 * makes no sense, or only too late.
 *
 * @param retry 0 for the first
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
