import type { Done } from '../stream/events.ts'
import { invalidResponse, SluiceClientError, streamLost } from './client-error.ts'
import type { Ending } from './event-log.ts'
import { unreachable } from './unreachable.ts'

/** Why a connection ended before the stream's `done`. */
export type Disconnect =
  /** 204: the stream has ended, and this reader's last event is its `done`. */
  | { type: 'caught-up' }
  /** Refused, reset, or closed before `done`. */
  | { type: 'lost'; cause?: unknown }
  /** Three heartbeats were missed. */
  | { type: 'silent' }
  /** The device is online again: the old connection belongs to another network. */
  | { type: 'network-changed' }
  /** A response with an error status. */
  | { type: 'refused'; error: SluiceClientError }
  /** A response that cannot be parsed. */
  | { type: 'unreadable'; error: SluiceClientError }

export interface ReconnectState {
  /** Consecutive connections without progress. The connection that has just ended always counts. */
  failures: number
  /** The gateway's latest `retry:`, in milliseconds. */
  retryMs: number
  /** The stream's id is known: requests resume the stream instead of creating it. */
  created: boolean
  /** The gateway has sent this stream, so it was there. */
  opened?: boolean
  /**
   * Milliseconds for which nothing has responded, since the first request. Undefined once there has been a response,
   * and while the device is offline, which may take any time.
   */
  unansweredMs?: number | undefined
  /** `cancel` has been called. */
  cancelling?: boolean
  /** After a 204, the last event has been requested again. */
  rereading?: boolean
}

export interface ReconnectPolicy {
  /** Milliseconds before attempt `attempt` (from 1) when the gateway asked for `retryMs`. */
  backoff: (attempt: number, retryMs: number) => number
  /** Consecutive failures before the client gives up. */
  maxAttempts: number
  /** Milliseconds to wait for a first response: a wrong address does not get right by waiting. */
  firstResponseMs: number
  /** The gateway's URL, for messages. */
  gateway: string
}

/** `reread`: request the last event again instead of the one after it. */
export type Next = { resumeAfterMs: number; reread?: boolean } | { end: Ending }

/** A longer `Retry-After` is reported to the caller, who may prefer not to wait. */
const LONGEST_RETRY_AFTER_MS = 60_000

/** Decides what to do after a connection has ended without `done`. All reconnect decisions are made here. */
export function decide(state: ReconnectState, outcome: Disconnect, policy: ReconnectPolicy): Next {
  switch (outcome.type) {
    case 'caught-up':
      // A 204 does not show how the stream ended, and an unknown end must not count as success.
      return state.rereading ? failed(invalidResponse('Its end is unknown.')) : { resumeAfterMs: 0, reread: true }
    case 'network-changed':
      return { resumeAfterMs: 0 }
    case 'lost':
    case 'silent': {
      const cause = 'cause' in outcome && outcome.cause
      return tryAgain(state, policy, unreachable(cause, policy.gateway, state.unansweredMs === undefined))
    }
    case 'refused':
    case 'unreadable': {
      const { error } = outcome
      if (state.cancelling && state.created && (error.status === 404 || error.status === 410)) return { end: CANCELLED }
      if (state.opened && error.code === 'stream_not_found') return failed(streamLost(error))
      return tryAgain(state, policy, error)
    }
  }
}

/**
 * Doubles each time, up to half a minute, plus up to 50% jitter so that readers do not reconnect at the same moment.
 */
export function jitteredBackoff(attempt: number, retryMs: number, random = Math.random): number {
  return Math.min(Math.max(retryMs, 100) * 2 ** (attempt - 1), 30_000) * (1 + random() / 2)
}

/** The end of a cancelled stream when the gateway's own `done` is no longer available. */
export const CANCELLED: Ending = { as: 'cancelled', done: { type: 'done', finish_reason: 'cancelled' } }

function tryAgain(state: ReconnectState, policy: ReconnectPolicy, error: SluiceClientError): Next {
  const { retryable, retryAfterMs = 0 } = error
  if (!retryable || retryAfterMs > LONGEST_RETRY_AFTER_MS) return failed(error)
  // There is no id to cancel by; if the stream exists, it soon ends without readers.
  if (state.cancelling && !state.created) return { end: CANCELLED }
  const remainingMs = policy.firstResponseMs - (state.unansweredMs ?? -Infinity)
  if (state.failures > policy.maxAttempts || remainingMs <= 0) return failed(error)
  // Added, not the maximum: clients that received the same `Retry-After` would all return at once.
  return { resumeAfterMs: Math.min(retryAfterMs + policy.backoff(state.failures, state.retryMs), remainingMs) }
}

/** How a stream has ended for its readers. */
export function endingOf(done: Done): Ending {
  const { finish_reason, error } = done
  if (finish_reason !== 'error') return { as: finish_reason === 'cancelled' ? 'cancelled' : 'finished', done }
  const { code = 'stream_failed', message = 'The stream failed.', retryable = false } = error ?? {}
  return { as: 'failed', error: new SluiceClientError({ code, message, retryable }) }
}

function failed(error: SluiceClientError): Next {
  return { end: { as: 'failed', error } }
}
