import { describe, expect, it } from 'vitest'
import { SluiceClientError } from '../../src/client/client-error.ts'
import type { Done, StreamError } from '../../src/stream/events.ts'
import {
  decide,
  endingOf,
  type Disconnect,
  jitteredBackoff,
  type Next,
  type ReconnectPolicy,
  type ReconnectState,
} from '../../src/client/reconnect.ts'

const STREAMING: ReconnectState = { failures: 1, retryMs: 1500, created: true, cancelling: false, rereading: false }
const CREATING = { ...STREAMING, created: false }
const CANCELLING = { ...STREAMING, cancelling: true }

/** Waits a tenth of what it is asked for, so that it can be told from `Retry-After`. */
const POLICY: ReconnectPolicy = {
  backoff: (attempt, retryMs) => (attempt * retryMs) / 10,
  maxAttempts: 3,
  firstResponseMs: 10_000,
  gateway: 'http://gateway/',
}

const OPENED = { ...STREAMING, opened: true }

const LOST: Disconnect = { type: 'lost', cause: new Error('reset') }

function refused(status: number, retryable: boolean, retryAfterMs?: number): Disconnect & { type: 'refused' } {
  const error = new SluiceClientError({ code: `code_${status}`, message: 'No.', status, retryable, retryAfterMs })
  return { type: 'refused', error }
}

const NOT_FOUND: Disconnect = {
  type: 'refused',
  error: new SluiceClientError({ code: 'stream_not_found', message: 'No.', status: 404, retryable: false }),
}

const CANCELLED = { end: { as: 'cancelled', done: { type: 'done', finish_reason: 'cancelled' } } }
const failing = (fields: Partial<SluiceClientError>) => ({ end: { as: 'failed', error: fields } })

describe('what to do when a connection has ended', () => {
  it.each<[string, Partial<ReconnectState>, Disconnect, unknown]>([
    // The network.
    ['lost: resume after the first backoff', STREAMING, LOST, { resumeAfterMs: 150 }],
    ['lost again: wait longer', { ...STREAMING, failures: 3 }, LOST, { resumeAfterMs: 450 }],
    ['lost once too often: give up', { ...STREAMING, failures: 4 }, LOST, failing({ code: 'unreachable' })],
    ['lost before it was created: create again', CREATING, LOST, { resumeAfterMs: 150 }],
    ['lost before, once too often', { ...CREATING, failures: 4 }, LOST, failing({ retryable: true })],
    ['silent: as lost', STREAMING, { type: 'silent' }, { resumeAfterMs: 150 }],
    ['silent once too often', { ...STREAMING, failures: 4 }, { type: 'silent' }, failing({ code: 'unreachable' })],
    ['another network: resume at once', STREAMING, { type: 'network-changed' }, { resumeAfterMs: 0 }],
    ['`retry:` is the base', { ...STREAMING, retryMs: 3000 }, LOST, { resumeAfterMs: 300 }],

    // Nothing has ever responded.
    ['no response yet: again', { ...CREATING, unansweredMs: 5000 }, LOST, { resumeAfterMs: 150 }],
    ['a last attempt at the limit', { ...CREATING, unansweredMs: 9_900 }, LOST, { resumeAfterMs: 100 }],
    [
      'the limit is over',
      { ...CREATING, unansweredMs: 10_000 },
      LOST,
      failing({ code: 'unreachable', retryable: true }),
    ],
    ['as for a join', { ...STREAMING, unansweredMs: 10_000 }, { type: 'silent' }, failing({ code: 'unreachable' })],
    ['never to be mended', CREATING, { type: 'lost', cause: new ReferenceError('x') }, failing({ retryable: false })],

    // Answers that are no stream.
    ['503: again', CREATING, refused(503, true), { resumeAfterMs: 150 }],
    ['503 with Retry-After: no sooner', CREATING, refused(503, true, 5000), { resumeAfterMs: 5150 }],
    ['429 while resuming', STREAMING, refused(429, true, 2000), { resumeAfterMs: 2150 }],
    ['503 for more than a minute', CREATING, refused(503, true, 60_001), failing({ retryAfterMs: 60_001 })],
    ['503 once too often', { ...CREATING, failures: 4 }, refused(503, true, 1), failing({ code: 'code_503' })],
    ['400', CREATING, refused(400, false), failing({ code: 'code_400', status: 400 })],
    ['401 while resuming', STREAMING, refused(401, false), failing({ code: 'code_401' })],
    ['404 on create', CREATING, refused(404, false), failing({ status: 404 })],
    ['404 on resume', STREAMING, refused(404, false), failing({ status: 404 })],
    ['404 on resume, after events', OPENED, NOT_FOUND, failing({ code: 'stream_lost', status: 404, retryable: true })],
    ['404 on the first attach', STREAMING, NOT_FOUND, failing({ code: 'stream_not_found', retryable: false })],
    ["404 of a proxy's own on resume", OPENED, refused(404, false), failing({ code: 'code_404', retryable: false })],
    ['410 on resume', STREAMING, refused(410, false), failing({ status: 410 })],
    ['nonsense', STREAMING, { type: 'unreadable', error: refused(0, false).error }, failing({ code: 'code_0' })],

    // The end.
    ['204: ask how it ended', STREAMING, { type: 'caught-up' }, { resumeAfterMs: 0, reread: true }],
    ['204 twice', { ...STREAMING, rereading: true }, { type: 'caught-up' }, failing({ code: 'invalid_response' })],

    // After `cancel`.
    ['cancelled, lost: fetch what was missed', CANCELLING, LOST, { resumeAfterMs: 150 }],
    ['cancelled, lost before it was created', { ...CANCELLING, created: false }, LOST, CANCELLED],
    ['cancelled, 503 on create', { ...CANCELLING, created: false }, refused(503, true, 9), CANCELLED],
    ['cancelled, 400 on create', { ...CANCELLING, created: false }, refused(400, false), failing({ status: 400 })],
    ['cancelled, 404 on create', { ...CANCELLING, created: false }, refused(404, false), failing({ status: 404 })],
    ['cancelled, 404', CANCELLING, refused(404, false), CANCELLED],
    ['cancelled, 404 after events', { ...CANCELLING, opened: true }, NOT_FOUND, CANCELLED],
    ['cancelled, 410', CANCELLING, refused(410, false), CANCELLED],
    ['cancelled, 403', CANCELLING, refused(403, false), failing({ status: 403 })],
    ['cancelled, lost for good', { ...CANCELLING, failures: 4 }, LOST, failing({ code: 'unreachable' })],
  ])('%s', (_, state, outcome, expected) => {
    const next: Next = decide({ ...STREAMING, ...state }, outcome, POLICY)
    expect(next).toMatchObject(expected as object)
    expect('end' in next).toBe('end' in (expected as object))
  })

  it('may be decided never to try again', () => {
    expect(decide(STREAMING, LOST, { ...POLICY, maxAttempts: 0 })).toMatchObject({ end: { as: 'failed' } })
  })
})

describe('the end of a stream', () => {
  it.each(['stop', 'length', 'tool_calls', 'content_filter'] as const)('%s', (finish_reason) => {
    const done = { type: 'done', finish_reason } as const
    expect(endingOf(done)).toEqual({ as: 'finished', done })
  })

  it('cancelled', () => {
    expect(endingOf({ type: 'done', finish_reason: 'cancelled' })).toEqual(CANCELLED.end)
  })

  it.each<[what: string, error: StreamError | undefined, expected: Partial<SluiceClientError>]>([
    [
      'error',
      { code: 'x', message: 'Why.', retryable: true },
      { code: 'x', message: 'Why.', retryable: true, status: undefined },
    ],
    ['error, of which nothing is said', undefined, { code: 'stream_failed', retryable: false }],
  ])('%s', (_, error, expected) => {
    const done: Done = { type: 'done', finish_reason: 'error', ...(error && { error }) }
    expect(endingOf(done)).toMatchObject({ as: 'failed', error: expected })
  })
})

describe('the backoff', () => {
  it.each([
    [1, 2000, 2000],
    [2, 2000, 4000],
    [4, 2000, 16_000],
    [5, 2000, 30_000],
    [1000, 2000, 30_000],
    [1, 0, 100],
  ])('before attempt %i, with `retry: %i`, is %i ms and up to half as much again', (attempt, retryMs, least) => {
    expect(jitteredBackoff(attempt, retryMs, () => 0)).toBe(least)
    expect(jitteredBackoff(attempt, retryMs, () => 0.5)).toBe(least * 1.25)
    expect(jitteredBackoff(attempt, retryMs, () => 1)).toBe(least * 1.5)
  })
})
