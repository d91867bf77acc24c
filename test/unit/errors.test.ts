import * as fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import * as ours from '../../providers/provider.ts'
import {
  ConfigError,
  ERROR_CODES,
  failureOf,
  fromFailedDone,
  SluiceError,
  statusOfCode,
  toSluiceError,
  toStreamError,
} from '../../src/errors.ts'
import type { Done, StreamError } from '../../src/stream/events.ts'
import { AnswerTooLongError } from '../../src/routing/attempt-timeouts.ts'

/** The classes of a second copy of the package, as a plugin brings one. */
async function importCopy() {
  vi.resetModules()
  return { ...(await import('../../src/errors.ts')), ...(await import('../../providers/provider.ts')) }
}

const doneWith = (error: StreamError): Done => ({ type: 'done', finish_reason: 'error', error })

const limited = { code: 'upstream_rate_limited', message: 'Slow down.', retryable: false, retryAfter: 3 } as const

describe('an error of another copy of the package', () => {
  it('is an instance of the class that has its name here', async () => {
    const copy = await importCopy()
    expect(copy.SluiceError).not.toBe(SluiceError)
    expect(new copy.SluiceError('not_found', 'No.')).toBeInstanceOf(SluiceError)
    expect(new copy.ProviderError(limited)).toBeInstanceOf(SluiceError)
    expect(new copy.ProviderError(limited)).toBeInstanceOf(ours.ProviderError)
    expect(new copy.ConfigError([])).toBeInstanceOf(ConfigError)
    expect(new ours.ProviderError(limited)).toBeInstanceOf(copy.ProviderError)
  })

  it('is an instance of no other class', async () => {
    const copy = await importCopy()
    expect(new copy.SluiceError('not_found', 'No.')).not.toBeInstanceOf(ours.ProviderError)
    expect(new copy.SluiceError('not_found', 'No.')).not.toBeInstanceOf(AnswerTooLongError)
    expect(new copy.ProviderError(limited)).not.toBeInstanceOf(ConfigError)
    expect(new copy.ConfigError([])).not.toBeInstanceOf(SluiceError)
  })

  it('keeps all that it says', async () => {
    const copy = await importCopy()
    const faults = [{ path: 'model', message: 'is unknown' }]
    const thrown = new copy.ProviderError({ ...limited, faults, upstreamStatus: 429 })
    const error = toSluiceError(thrown)
    expect(Object.getPrototypeOf(error)).toBe(SluiceError.prototype)
    expect(error).toMatchObject({ ...limited, faults, upstreamStatus: 429, status: 429, cause: thrown })
  })

  it('with a code that is not known here has failed as a provider', async () => {
    const copy = await importCopy()
    const thrown = Object.assign(new copy.ProviderError(limited), { code: 'upstream_on_fire', status: 418 })
    expect(toSluiceError(thrown)).toMatchObject({ code: 'provider_failed', status: 502, message: 'Slow down.' })
  })
})

describe('toSluiceError', () => {
  it('returns our own errors as they are', () => {
    const error = new AnswerTooLongError('Too long.')
    expect(toSluiceError(error)).toBe(error)
  })

  it('quotes nothing of an error that is not branded', () => {
    const thrown = Object.assign(new Error('the prompt'), { code: 'upstream_error', retryable: true })
    expect(toSluiceError(thrown)).toMatchObject({
      code: 'provider_failed',
      message: 'The provider failed.',
      retryable: false,
      cause: thrown,
    })
  })

  it.each<[what: string, thrown: unknown]>([
    ['a getter that throws', Object.defineProperty(brand({}), 'code', { get: () => expect.fail('a getter') })],
    ['a proxy that throws', new Proxy({}, { get: () => expect.fail('a trap') })],
    ['a revoked proxy', revoked()],
    ['nothing', undefined],
    ['a text', 'upstream_error'],
  ])('bears %s', (_, thrown) => {
    expect(toSluiceError(thrown)).toMatchObject({ code: 'provider_failed', message: 'The provider failed.' })
  })

  it('makes a valid error of any branded object', () => {
    const odd = fc.oneof(fc.anything(), fc.double(), fc.integer(), fc.constantFrom(...ERROR_CODES))
    const names = ['code', 'message', 'retryable', 'retryAfter', 'faults', 'upstreamStatus']
    fc.assert(
      fc.property(fc.record(Object.fromEntries(names.map((name) => [name, odd])), { requiredKeys: [] }), (fields) => {
        const error = toSluiceError(brand({ ...fields }))
        expectValid(error)
        expect(error.code).toBe(ERROR_CODES.find((code) => code === fields.code) ?? 'provider_failed')
      }),
    )
  })
})

describe('a ProviderError', () => {
  it('ignores options that are no options, as JavaScript can pass them', () => {
    const options = { retryable: 'yes', retryAfter: Number.NaN, upstreamStatus: 1000, faults: [{ path: 1 }] }
    // @ts-expect-error
    const error = new ours.ProviderError({ code: 'upstream_on_fire', message: 'Help.', ...options })
    expectValid(error)
    expect(error).toMatchObject({ code: 'provider_failed', message: 'Help.', retryable: false, retryAfter: undefined })
  })
})

describe('a StreamError', () => {
  it('is the same after it was an error', () => {
    const told = fc.record({ code: fc.constantFrom(...ERROR_CODES), message: fc.string(), retryable: fc.boolean() })
    fc.assert(
      fc.property(told, (error) => {
        expect(toStreamError(fromFailedDone(doneWith(error)))).toEqual(error)
      }),
    )
  })

  it('keeps its words and whether it is retryable where its code is not known', () => {
    const error = { code: 'upstream_on_fire', message: 'Help.', retryable: true }
    expect(fromFailedDone(doneWith(error))).toMatchObject({
      code: 'provider_failed',
      message: 'Help.',
      retryable: true,
    })
  })

  it('is made of anything that was thrown, without words that were not written for readers', () => {
    expect(toStreamError(new ours.ProviderError(limited))).toEqual({
      code: 'upstream_rate_limited',
      message: 'Slow down.',
      retryable: false,
    })
    for (const thrown of [new Error('the prompt'), 'the prompt', undefined])
      expect(toStreamError(thrown)).toEqual({
        code: 'provider_failed',
        message: 'The provider failed.',
        retryable: false,
      })
  })

  it('is found in any done without a good end', () => {
    const error = { code: 'upstream_timeout', message: 'Too slow.', retryable: true }
    expect(failureOf({ type: 'done', finish_reason: 'error', error })).toBe(error)
    expect(failureOf({ type: 'done', finish_reason: 'cancelled' }).code).toBe('cancelled')
    expect(failureOf({ type: 'done', finish_reason: 'error' }).code).toBe('provider_failed')
  })
})

function brand(thrown: object): object {
  return Object.assign(thrown, { [Symbol.for('sluice.error')]: true })
}

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

function expectValid({
  code,
  message,
  status,
  retryable,
  retryAfter = 0,
  faults = [],
  upstreamStatus = 200,
}: SluiceError) {
  expect(ERROR_CODES).toContain(code)
  expect(status).toBe(statusOfCode(code))
  expect([typeof message, typeof retryable]).toEqual(['string', 'boolean'])
  expect(retryAfter).toBeGreaterThanOrEqual(0)
  expect(retryAfter).toBeLessThan(Infinity)
  expect(() => new Response('', { status: upstreamStatus < 200 ? 200 : upstreamStatus })).not.toThrow()
  for (const { path, message: why } of faults) expect([typeof path, typeof why]).toEqual(['string', 'string'])
}
