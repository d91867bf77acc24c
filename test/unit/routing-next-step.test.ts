import { describe, expect, it } from 'vitest'
import { SluiceError, type ErrorCode, type SluiceErrorOptions } from '../../src/errors.ts'
import { AnswerTooLongError } from '../../src/routing/attempt-timeouts.ts'
import { nextStep, type FailedAttempt, type NextStep } from '../../src/routing/next-step.ts'

const failed = (
  code: ErrorCode,
  more: Partial<FailedAttempt> = {},
  options: SluiceErrorOptions = {},
): FailedAttempt => ({
  error: new SluiceError(code, 'No.', options),
  retry: 0,
  retries: 2,
  closed: true,
  freshKey: false,
  ...more,
})
const tooLong = new AnswerTooLongError('It took too long.')
const retry = (afterMs: number): NextStep => ({ step: 'retry', afterMs })
const NEXT: NextStep = { step: 'next-target' }
const FAIL: NextStep = { step: 'fail' }

describe('after an attempt that failed before its first token', () => {
  it.each<[what: string, failed: FailedAttempt, next: NextStep]>([
    ['a failure that may pass: again, after half of the first wait', failed('upstream_unavailable'), retry(125)],
    ['a second one: again, after half of twice as long', failed('upstream_error', { retry: 1 }), retry(250)],
    ['as often as it may', failed('upstream_error', { retry: 2 }), NEXT],
    ['a target without retries', failed('upstream_error', { retries: 0 }), NEXT],
    ['a target whose breaker has opened', failed('upstream_error', { closed: false }), NEXT],
    ['a failure that will not pass', failed('upstream_not_found'), NEXT],
    ['a plugin that broke its contract', failed('provider_failed'), NEXT],
    ['Retry-After: no sooner', failed('upstream_unavailable', {}, { retryAfter: 3 }), retry(3125)],
    ['a Retry-After that is too long', failed('upstream_unavailable', {}, { retryAfter: 11 }), NEXT],
    ['a rate limit, with another key: at once', failed('upstream_rate_limited', { freshKey: true }), retry(0)],
    ['a rate limit, without one: when it asks to', failed('upstream_rate_limited', {}, { retryAfter: 1 }), retry(1125)],
    ['a wrong key, with another one', failed('upstream_auth', { freshKey: true }), retry(0)],
    ['a wrong key, without one', failed('upstream_auth'), NEXT],
    ['another key does not help a failure of the target', failed('upstream_error', { freshKey: true }), retry(125)],
    ['a request that nobody would answer', failed('upstream_rejected'), FAIL],
    ['an answer that took the whole of its time', { ...failed('upstream_timeout'), error: tooLong }, NEXT],
    ['a malformed item: not of this target', failed('upstream_invalid_response', {}, { retryable: false }), NEXT],
    ['the same, with targets, keys and retries left', failed('invalid_request', { freshKey: true }), FAIL],
  ])('%s', (_, attempt, next) => {
    expect(nextStep(attempt, () => 0.5)).toEqual(next)
  })
})
