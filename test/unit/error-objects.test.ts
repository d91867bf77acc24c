import { describe, expect, it } from 'vitest'
import { findError, upstreamFailure } from '../../providers/error-objects.ts'

describe('the error object in a body', () => {
  it.each<[string, unknown, unknown]>([
    ['an object', { error: { message: 'No.', code: 'x' } }, { message: 'No.', code: 'x' }],
    ['an object in a list', [{ error: { message: 'No.' } }], { message: 'No.' }],
    ['a text', { error: 'No.' }, { message: 'No.' }],
    ['a kind beside a message', { error: 'not_found', message: 'No.' }, { message: 'No.', type: 'not_found' }],
    [
      'an object with the status beside it',
      { error: { message: 'No.' }, status: 400 },
      { message: 'No.', status_code: 400 },
    ],
    ['a list', { errors: [{ message: 'No.', code: 7003 }] }, { message: 'No.', code: 7003 }],
    ['a detail', { detail: 'No.' }, { message: 'No.' }],
    [
      'a list of faults',
      { detail: [{ loc: ['body', 'messages', 0], msg: 'is required' }, { msg: 'No.' }] },
      { message: 'body.messages.0: is required; No.' },
    ],
    [
      'a message with its type',
      { object: 'error', message: 'No.', type: 'x', code: 400 },
      { message: 'No.', type: 'x', code: 400, status_code: 400 },
    ],
    ['fields of their own', { choices: null, error_message: 'No.', error_type: 'x' }, { message: 'No.', type: 'x' }],
    ['something else', { error: true }, {}],
  ])('may be %s', (_, body, error) => {
    expect(findError(body)).toEqual(error)
  })

  it.each([undefined, 'No.', [], {}, { error: null }, { error: '' }, { detail: [] }, { choices: [] }])(
    'is none in %j',
    (body) => {
      expect(findError(body)).toBeUndefined()
    },
  )
})

describe('an error of an upstream', () => {
  const failure = (error: Record<string, unknown>, status?: number) =>
    upstreamFailure({ error, wire: 'openai', ...(status !== undefined && { status }) })

  it.each([
    [{ code: 'rate_limit_exceeded' }, 'upstream_rate_limited'],
    [{ type: 'overloaded_error' }, 'upstream_unavailable'],
    [{ type: 'BadRequestError' }, 'upstream_rejected'],
    [{ status: 'INVALID_ARGUMENT' }, 'upstream_rejected'],
    [{ code: 'context_length_exceeded', type: 'invalid_request_error' }, 'upstream_rejected'],
    [{ code: 'tool_use_failed', status_code: 400 }, 'upstream_rejected'],
    [{ code: 429, type: 'invalid_request_error' }, 'upstream_rate_limited'],
    [{ code: '503' }, 'upstream_unavailable'],
    [{ code: 404 }, 'upstream_not_found'],
    [{ code: 402 }, 'upstream_auth'],
    [{ type: 'server_error' }, 'upstream_error'],
    [{ code: 200 }, 'upstream_error'],
  ])('without a status has the code that its fields tell: %j', (error, code) => {
    expect(failure(error)).toMatchObject({ code })
  })

  it.each([
    [401, 'upstream_auth'],
    [402, 'upstream_auth'],
    [403, 'upstream_auth'],
    [404, 'upstream_not_found'],
    [410, 'upstream_not_found'],
    [422, 'upstream_rejected'],
    [529, 'upstream_unavailable'],
  ])('has the code of its status: %i', (status, code) => {
    expect(failure({ message: 'No.', code: 'rate_limit_exceeded' }, status)).toMatchObject({
      code,
      upstreamStatus: status,
    })
  })

  it('is carried as it came', () => {
    const error = {
      message: 'No.',
      type: 'invalid_request_error',
      code: 'tool_use_failed',
      failed_generation: '{"name"',
    }
    expect(failure(error).carried).toEqual({ openai: { error } })
  })

  it('is not retried when a bill is unpaid', () => {
    expect(failure({ message: 'No.', code: 'insufficient_quota' }, 429)).toMatchObject({
      code: 'upstream_rate_limited',
      retryable: false,
    })
  })

  it('tells nothing that it says of the key', () => {
    for (const told of [
      failure({ message: 'sk-12 is unknown', code: 401, metadata: { key: 'sk-12' } }),
      failure({ message: 'sk-12 is unknown', type: 'authentication_error' }, 400),
    ])
      expect(JSON.stringify([told.message, told.carried])).not.toContain('sk-12')
  })

  it('keeps at most 16 KiB of its fields, and its names', () => {
    const { carried } = failure({ message: 'No.', code: 'x', details: 'x'.repeat(17_000) })
    expect(carried).toEqual({ openai: { error: { message: 'No.', code: 'x' } } })
  })
})
