import fc from 'fast-check'
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
    [
      'Mistral’s: a list of faults in the message',
      {
        object: 'error',
        message: {
          detail: [
            { type: 'extra_forbidden', loc: ['body', 'max_completion_tokens'], msg: 'Extra inputs are not permitted' },
          ],
        },
        type: 'invalid_request_error',
      },
      { message: 'body.max_completion_tokens: Extra inputs are not permitted', type: 'invalid_request_error' },
    ],
    ['fields of their own', { choices: null, error_message: 'No.', error_type: 'x' }, { message: 'No.', type: 'x' }],
    ['something else', { error: true }, {}],
    ['a truth beside its words', { error: true, message: 'No.' }, { message: 'No.' }],
    ['an object within an object', { error: { error: { message: 'No.', code: 'x' } } }, { message: 'No.', code: 'x' }],
    ['a list of objects', { error: [{ message: 'No.', code: 400 }] }, { message: 'No.', code: 400 }],
    ['a list of texts', { error: ['No.'] }, { message: 'No.' }],
    ['a list of texts under errors', { errors: ['No.', 'Never.'] }, { message: 'No.; Never.' }],
    [
      'faults by field',
      { errors: { messages: ['is required'] }, title: 'Invalid' },
      { message: 'messages: is required', messages: ['is required'] },
    ],
    [
      'a text with its names beside it',
      { error: 'No.', code: 'rate_limit_exceeded', error_type: 'limit', param: 'model' },
      { message: 'No.', code: 'rate_limit_exceeded', type: 'limit', param: 'model' },
    ],
    ['a kind beside a description', { error: 'denied', error_description: 'No.' }, { message: 'No.', type: 'denied' }],
    ['without a message', { error: { detail: 'No.', code: 'E1' } }, { message: 'No.', detail: 'No.', code: 'E1' }],
    ['a text in a detail', { detail: { error: 'No.' } }, { message: 'No.' }],
    ['an object in a detail', { detail: { error: { message: 'No.', code: 'x' } } }, { message: 'No.', code: 'x' }],
    [
      "Mistral's faults",
      { object: 'error', message: { detail: [{ loc: ['body', 'n'], msg: 'No.' }] }, type: 'x' },
      { message: 'body.n: No.', type: 'x' },
    ],
    ["MiniMax's", { base_resp: { status_code: 1004, status_msg: 'No.' } }, { message: 'No.', code: 1004 }],
    ["Baidu's", { error_code: 336003, error_msg: 'No.' }, { message: 'No.', code: 336003 }],
    [
      "Amazon's",
      { __type: 'a#ValidationException', message: 'No.' },
      { message: 'No.', type: 'a#ValidationException' },
    ],
    ["Amazon's, in capitals", { Message: 'No.', Code: 'X' }, { message: 'No.', code: 'X' }],
    ["Bedrock's", { throttlingException: { message: 'No.' } }, { message: 'No.', type: 'throttlingException' }],
    [
      "Volcengine's",
      { ResponseMetadata: { Error: { Code: 'X', Message: 'No.' } } },
      { message: 'No.', code: 'X', Code: 'X', Message: 'No.' },
    ],
    ["Apigee's", { fault: { faultstring: 'No.', detail: { errorcode: 'x' } } }, { message: 'No.' }],
    ["FastChat's", { text: 'No.', error_code: 50001 }, { message: 'No.', code: 50001 }],
    ['a problem with a title', { title: 'No.', status: 400 }, { message: 'No.', status_code: 400 }],
    ['a reason', { success: false, reason: 'No.' }, { message: 'No.' }],
    ['beside no choices', { choices: [], error_code: 7, error_message: 'No.' }, { message: 'No.', code: 7 }],
    ['in a delta', { choices: [{ delta: { error: { message: 'No.' } } }] }, { message: 'No.' }],
    ['in x_groq', { choices: [{ delta: {} }], x_groq: { error: 'No.' } }, { message: 'No.' }],
  ])('may be %s', (_, body, error) => {
    expect(findError(body)).toEqual(error)
  })

  it.each([
    undefined,
    'No.',
    [],
    {},
    { error: null },
    { error: '' },
    { error: 0, choices: [] },
    { error: false, choices: [{ delta: {} }], message: 'x' },
    { detail: [] },
    { choices: [] },
    { choices: [], prompt_filter_results: [{}], usage: { total_tokens: 1 }, x_groq: { id: '1' } },
    { choices: [{ delta: { content: 'a' } }], code: 7, message: 'x', detail: 'x' },
    { choices: null, base_resp: { status_code: 0, status_msg: 'success' } },
    { code: 0, message: 'success' },
    { error_code: 0, error_msg: '' },
    { type: 'message', content: [], message: 'x' },
    { title: 'x', text: 'x', reason: 'x' },
  ])('is none in %j', (body) => {
    expect(findError(body)).toBeUndefined()
  })
})

describe('an error of an upstream', () => {
  const failure = (error: Record<string, unknown>, status?: number) =>
    upstreamFailure({ error, wire: 'openai', ...(status !== undefined && { status }) })

  it('about credit that is used up concerns the key, whatever its status', () => {
    const error = { type: 'invalid_request_error', message: 'Your credit balance is too low to access the API.' }
    expect(failure(error, 400).code).toBe(failure({}, 402).code)
  })

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
    [{ code: 'InvalidParameter' }, 'upstream_rejected'],
    [{ code: 2013 }, 'upstream_rejected'],
    [{ code: '1302' }, 'upstream_rate_limited'],
    [{ code: 'Throttling.RateQuota' }, 'upstream_rate_limited'],
    [{ type: 'com.amazon#ValidationException' }, 'upstream_rejected'],
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

  it.each([
    [{ message: 'Incorrect API key provided: sk***90.' }, 400],
    [{ message: 'API key not valid. Please pass a valid API key.', details: [{ reason: 'API_KEY_INVALID' }] }, 400],
    [{ message: 'sk***90?', details: [{ reason: 'API_KEY_INVALID' }] }, 400],
    [{ message: 'Invalid API Key sk-li***90', code: 'invalid_api_key' }, 400],
    [{ message: 'litellm.AuthenticationError: Incorrect API key provided: sk-li***7890' }, 500],
    [{ message: 'Incorrect API key provided: sk-li***7890.', type: 'server_error' }, undefined],
    [{ message: 'The key sk***90 is Unauthorized', code: 500 }, undefined],
    [{ message: 'Your access token has expired' }, 400],
    [{ message: 'Missing or invalid Authorization header' }, 400],
    [{ message: 'login fail: please carry the secret key', code: 1004 }, undefined],
  ])('is about the key whatever its status, and not quoted: %j', (error, status) => {
    const told = failure(error, status)
    expect(told).toMatchObject({ code: 'upstream_auth', retryable: false })
    expect(JSON.stringify([told.message, told.carried])).not.toContain(error.message)
  })

  it.each([
    [{ message: 'Invalid value: tools[0].api_key', param: 'tools[0]' }, 400],
    [{ message: "Invalid parameter: 'api_key' is no field of a tool" }, 400],
    [{ message: 'max_tokens is too large: the token limit is 4096' }, 400],
    [{ message: 'No.' }, 500],
  ])('about the request is not about the key: %j', (error, status) => {
    const told = failure(error, status)
    expect(told.code).not.toBe('upstream_auth')
    expect(told.message).toBe(error.message)
  })

  it.each([
    { message: 'Your input was flagged', metadata: { reasons: ['violence'] } },
    { message: 'Country not supported', code: 'unsupported_country_region_territory', type: 'request_forbidden' },
    { message: 'Against the policy', code: 'content_policy_violation' },
  ])('of 403 that is about the request keeps its words: %j', (error) => {
    expect(failure(error, 403)).toMatchObject({
      code: 'upstream_rejected',
      message: error.message,
      upstreamStatus: 403,
    })
  })

  it('is one, whatever its fields hold', () => {
    const names = ['error', 'errors', 'message', 'detail', 'code', 'type', 'param', 'details', 'loc', 'msg', 'choices']
    const hostile = fc.constant({ toString: 1, valueOf: 1, loc: [{ toString: 1 }], message: 'x' })
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom(null, 0, 400, true, '', 'No.'),
        hostile,
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...names), tie('value'), { maxKeys: 4 }),
      ),
    }))
    fc.assert(
      fc.property(value, fc.boolean(), (body, failed) => {
        const error = findError(body, failed)
        if (error) expect(typeof failure(error, failed ? 400 : undefined).message).toBe('string')
      }),
    )
  })

  it('keeps at most 16 KiB of its fields, and its names', () => {
    const { carried } = failure({ message: 'No.', code: 'x', details: 'x'.repeat(17_000) })
    expect(carried).toEqual({ openai: { error: { message: 'No.', code: 'x' } } })
  })
})
