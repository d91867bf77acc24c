import type { Done } from '../stream/events.ts'
import { invalidResponse, SluiceClientError, unreachable } from './client-error.ts'
import type { Ending } from './event-log.ts'

/** How a connection ended that did not bring the stream's end. */
export type Disconnect =
  /** 204: the stream has ended, and its `done` is the event that this reader named as its last. */
  | { type: 'caught-up' }
  /** Refused, reset, or closed before `done`. */
  | { type: 'lost'; cause?: unknown }
  /** Three heartbeats were missed. */
  | { type: 'silent' }
  /** The device is online again: whatever connection there was belongs to the network before. */
  | { type: 'network-changed' }
  /** An answer with an error status. */
  | { type: 'refused'; error: SluiceClientError }
  /** An answer that cannot be understood. */
  | { type: 'unreadable'; error: SluiceClientError }

export type Outcome = Disconnect | { type: 'done'; done: Done }

export interface ReconnectState {
  /** Connections in a row that brought nothing; the one that has just ended counts, whatever it brought. */
  failures: number
  /** The gateway's latest `retry:`, in milliseconds. */
  retryMs: number
  /** The stream's id is known: it is resumed, not created. */
  created: boolean
  /** `cancel` has been called. */
  cancelling?: boolean
  /** A 204 has been answered with a request for the last event. */
  rereading?: boolean
}

export interface ReconnectPolicy {
  /** Milliseconds before attempt `attempt` (from 1) when the gateway asked for `retryMs`. */
  backoff: (attempt: number, retryMs: number) => number
  /** Failures in a row before it gives up. */
  maxAttempts: number
}

/** `reread`: request the last event again instead of the one after it. */
export type Next = { resumeAfterMs: number; reread?: boolean } | { end: Ending }

/** A gateway that asks for more patience than this is told to the caller, who may want to do something else. */
const LONGEST_RETRY_AFTER_MS = 60_000

/** What to do when a connection has ended. Everything that is decided about reconnecting is decided here. */
export function decide(state: ReconnectState, outcome: Outcome, policy: ReconnectPolicy): Next {
  switch (outcome.type) {
    case 'done':
      return { end: endingOf(outcome.done) }
    case 'caught-up':
      // How the stream ended is not said by a 204, and no end may be taken for a success.
      return state.rereading ? failed(invalidResponse('Its end is unknown.')) : { resumeAfterMs: 0, reread: true }
    case 'network-changed':
      return { resumeAfterMs: 0 }
    case 'lost':
    case 'silent':
      return tryAgain(state, policy, unreachable('cause' in outcome && outcome.cause, true))
    case 'refused': {
      const { error } = outcome
      if (state.cancelling && state.created && (error.status === 404 || error.status === 410)) return { end: CANCELLED }
      const afterMs = error.retryAfterMs ?? 0
      if (!error.retryable || afterMs > LONGEST_RETRY_AFTER_MS) return failed(error)
      return tryAgain(state, policy, error, afterMs)
    }
    case 'unreadable':
      return failed(outcome.error)
  }
}

/** Twice as long each time, up to half a minute, and up to half as much again so that readers do not return as one. */
export function jitteredBackoff(attempt: number, retryMs: number, random = Math.random): number {
  return Math.min(Math.max(retryMs, 100) * 2 ** (attempt - 1), 30_000) * (1 + random() / 2)
}

/** The end of a stream that was cancelled, where the gateway's own `done` cannot be had any more. */
export const CANCELLED: Ending = { as: 'cancelled', done: { type: 'done', finish_reason: 'cancelled' } }

function tryAgain(state: ReconnectState, policy: ReconnectPolicy, error: SluiceClientError, leastMs = 0): Next {
  // Nothing is known to run that could be cancelled; if something does, it soon ends for want of readers.
  if (state.cancelling && !state.created) return { end: CANCELLED }
  if (state.failures > policy.maxAttempts) return failed(error)
  // Added, not the larger of the two: all who were sent away with the same `Retry-After` would return as one.
  return { resumeAfterMs: leastMs + policy.backoff(state.failures, state.retryMs) }
}

function endingOf(done: Done): Ending {
  const { finish_reason, error } = done
  if (finish_reason !== 'error') return { as: finish_reason === 'cancelled' ? 'cancelled' : 'finished', done }
  const { code = 'stream_failed', message = 'The stream failed.', retryable = false } = error ?? {}
  return { as: 'failed', error: new SluiceClientError({ code, message, retryable }) }
}

function failed(error: SluiceClientError): Next {
  return { end: { as: 'failed', error } }
}
