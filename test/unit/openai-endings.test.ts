import { describe, expect, it } from 'vitest'
import { chunk, endOf, read } from './read-chunks.ts'

const hello = chunk({ content: 'Hello' })
const finish = (reason: string) => chunk({}, { finish_reason: reason })
const thrown = (code: string, message: unknown = expect.any(String)) => expect.objectContaining({ code, message })

describe('how a Chat Completions stream ends', () => {
  it.each([
    ['stop', 'stop'],
    ['length', 'length'],
    ['tool_calls', 'tool_calls'],
    ['function_call', 'tool_calls'],
    ['content_filter', 'content_filter'],
  ])('%s is %s', (theirs, ours) => {
    expect(endOf(hello, finish(theirs), '[DONE]')).toMatchObject({ finish_reason: ours })
  })

  it('a finish without [DONE] is an end', () => {
    expect(endOf(hello, finish('stop'))).toMatchObject({ finish_reason: 'stop' })
  })

  // The official SDKs raise: it does not say whether the answer is whole, or whether a tool is to be called.
  it('[DONE] without a finish is never a success', () => {
    const call = chunk({ tool_calls: [{ index: 0, id: 'c1', function: { name: 'f', arguments: '{}' } }] })
    for (const chunks of [[hello], [call], []])
      expect(() => endOf(...chunks, '[DONE]')).toThrow(thrown('upstream_truncated'))
  })

  it('[DONE] may have white space around it', () => {
    expect(endOf(hello, finish('stop'), ' [DONE] ')).toMatchObject({ finish_reason: 'stop' })
  })

  it('neither is none: never a success', () => {
    expect(() => endOf(hello)).toThrow(thrown('upstream_truncated'))
    expect(() => endOf()).toThrow(thrown('upstream_truncated'))
  })

  it('an empty finish_reason in mid-stream is none', () => {
    const running = chunk({ content: 'Hel' }, { finish_reason: '' })
    expect(read(running)).toEqual([{ type: 'delta', content: 'Hel' }])
    expect(() => endOf(running)).toThrow(thrown('upstream_truncated'))
  })

  it('a finish of another choice is none', () => {
    expect(() => endOf(hello, chunk({}, { index: 1, finish_reason: 'stop' }))).toThrow(thrown('upstream_truncated'))
  })

  it.each(['end_turn', 'toString'])('a word of its own is an end, and is carried: %s', (reason) => {
    expect(read(finish(reason))).toEqual([])
    expect(endOf(hello, finish(reason))).toMatchObject({
      finish_reason: 'stop',
      carried: { openai: { choice: { finish_reason: reason } } },
    })
  })

  it.each([
    ['SAFETY', 'content_filter'],
    ['content_filter: RECITATION', 'content_filter'],
    ['sensitive', 'content_filter'],
    ['model_length', 'length'],
    ['MAX_TOKENS', 'length'],
  ])('%s is %s, as other servers say it', (theirs, ours) => {
    expect(endOf(hello, finish(theirs))).toMatchObject({ finish_reason: ours })
  })

  it.each(['network_error', 'function_call_filter: MALFORMED_FUNCTION_CALL'])('%s is never a success', (reason) => {
    expect(() => endOf(hello, finish(reason), '[DONE]')).toThrow(thrown('upstream_error'))
  })

  it('the last word counts, and "null" is none', () => {
    const end = endOf(hello, finish('STOP'), finish('length'), finish('null'))
    expect(end).toEqual({ type: 'done', finish_reason: 'length' })
    expect(() => endOf(hello, finish('null'), '[DONE]')).toThrow(thrown('upstream_truncated'))
  })

  it('a whole message at the end of a stream is not said again', () => {
    const message = { role: 'assistant', content: 'Hello', tool_calls: [{ id: 'c', function: { name: 'f' } }] }
    const whole = { object: 'chat.completion', choices: [{ index: 0, message, finish_reason: 'stop' }] }
    expect(read(hello, whole)).toEqual([
      { type: 'delta', content: 'Hello' },
      { type: 'delta', carried: { openai: { chunk: { object: 'chat.completion' } } } },
    ])
  })

  it('a finish reason and a usage in the chunk of an error are told with it', () => {
    const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 }
    const chunks = [hello, chunk({}, { finish_reason: 'length', usage }, { error: { message: 'No.', code: 400 } })]
    expect(() => read(...chunks)).toThrow(
      expect.objectContaining({
        usage,
        carried: { openai: { error: { message: 'No.', code: 400 }, choice: { finish_reason: 'length' } } },
      }),
    )
  })

  // OpenRouter, DeepSeek and vLLM, of an answer that broke off.
  it.each(['error', 'insufficient_system_resource', 'abort'])('%s tells of a failure: never a success', (reason) => {
    expect(() => endOf(hello, finish(reason), '[DONE]')).toThrow(thrown('upstream_error'))
  })

  it('the usage is the last that was sent, also after [DONE] or beside a finish', () => {
    const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 }
    expect(
      endOf(
        chunk({ content: 'a' }, {}, { usage: { ...usage, completion_tokens: 1 } }),
        chunk({}, { finish_reason: 'stop' }, { usage }),
      ),
    ).toMatchObject({ usage })
    expect(endOf(finish('stop'), '[DONE]', { choices: [], usage })).toMatchObject({ usage })
    expect(endOf(chunk({}, { finish_reason: 'stop' }, { usage }), { choices: [], usage: null })).toMatchObject({
      usage,
    })
  })

  it('a usage that lacks its total is added up, and one that makes no sense is left out', () => {
    const usage = { prompt_tokens: 4, completion_tokens: 2 }
    expect(endOf(chunk({}, { finish_reason: 'stop' }, { usage })).usage).toEqual({ ...usage, total_tokens: 6 })
    for (const nonsense of ['many', { prompt_tokens: 'four' }, { prompt_tokens: -1 }]) {
      expect(endOf(chunk({}, { finish_reason: 'stop' }, { usage: nonsense }))).not.toHaveProperty('usage')
      expect(endOf({ usage: { ...usage, total_tokens: 7 } }, finish('stop'), { usage: nonsense })).toHaveProperty(
        'usage',
        {
          ...usage,
          total_tokens: 7,
        },
      )
    }
  })

  it('a usage may come in parts, in texts, or with one count', () => {
    const ended = (...usages: unknown[]) =>
      endOf(...usages.map((usage) => ({ choices: [], usage })), finish('stop')).usage
    expect(ended({ prompt_tokens: 5 }, { completion_tokens: 4 })).toMatchObject({
      prompt_tokens: 5,
      completion_tokens: 4,
      total_tokens: 9,
    })
    expect(ended({ prompt_tokens: '5', completion_tokens: '4' })).toMatchObject({ total_tokens: 9 })
    expect(ended({ completion_tokens: 4, prompt_tokens: null })).toMatchObject({ prompt_tokens: 0, total_tokens: 4 })
    expect(ended({ total_tokens: 3 })).toBeUndefined()
  })

  it('the model is the one that answered, and none when the upstream named none', () => {
    expect(endOf(chunk({}, { finish_reason: 'stop' }, { model: 'gpt-4o-2024' }))).toHaveProperty('model', 'gpt-4o-2024')
    expect(endOf(finish('stop'))).not.toHaveProperty('model')
    expect(endOf({ ...finish('stop'), model: '' })).not.toHaveProperty('model')
  })
})

describe('done', () => {
  const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 }

  it.each([
    [16_000, { ...usage, details: 'x'.repeat(16_000) }],
    [17_000, usage],
  ])('keeps at most 16 KiB of usage: details of %i characters', (length, told) => {
    expect(endOf(finish('stop'), { choices: [], usage: { ...usage, details: 'x'.repeat(length) } })).toEqual({
      type: 'done',
      finish_reason: 'stop',
      usage: told,
    })
  })

  it('drops an invalid model name', () => {
    expect(endOf({ ...finish('stop'), model: 'm'.repeat(256) })).toHaveProperty('model')
    expect(endOf({ ...finish('stop'), model: 'm'.repeat(257) })).not.toHaveProperty('model')
  })
})

describe('an error in the stream', () => {
  it.each<[string, unknown, unknown]>([
    ['an object', { error: { message: 'Overloaded.', type: 'server_error' } }, 'Overloaded.'],
    ['a text', { error: 'Overloaded.' }, 'Overloaded.'],
    ['an object without words', { error: {} }, expect.stringMatching(/./)],
    ['something else', { error: true }, expect.stringMatching(/./)],
    ['an object beside choices', chunk({ content: 'a' }, {}, { error: { message: 'Overloaded.' } }), 'Overloaded.'],
  ])('ends it: %s', (_, data, message) => {
    expect(() => read(hello, data)).toThrow(thrown('upstream_error', message))
  })

  it.each([
    [401, 'upstream_auth'],
    [429, 'upstream_rate_limited'],
    ['429', 'upstream_rate_limited'],
    [400, 'upstream_rejected'],
    [502, 'upstream_unavailable'],
    ['server_error', 'upstream_error'],
    [null, 'upstream_error'],
  ])('with the code %j is %s', (theirs, code) => {
    expect(() => read({ error: { code: theirs, message: 'No.' } })).toThrow(thrown(code))
  })

  it.each([401, 'invalid_api_key'])('is not quoted when it is about the gateway’s key: %j', (code) => {
    expect(() => read({ error: { code, message: 'Incorrect API key provided: sk-12' } })).toThrow(
      expect.objectContaining({ code: 'upstream_auth', message: expect.not.stringContaining('sk-12') }),
    )
  })

  it('is none when it is null', () => {
    expect(read({ ...hello, error: null })).toEqual([{ type: 'delta', content: 'Hello' }])
  })
})

describe('what is no chunk', () => {
  it.each<[string, unknown]>([
    ['broken JSON', '{"choices":[{"delta":{"content":"Hel'],
    ['a text', '"Hello"'],
    ['a number', '42'],
    ['null', 'null'],
    ['a list', '[]'],
    ['a choice that is none', { choices: [null] }],
    ['a delta that is none', chunk('Hello')],
    ['content that is no text', chunk({ content: 42 })],
    ['a part that is none', chunk({ content: ['Hello'] })],
  ])('ends the stream: %s', (_, data) => {
    expect(() => read(hello, data)).toThrow(thrown('upstream_invalid_response'))
  })

  it.each([
    ['nested too deeply', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, 'nested more than 128 levels deep'],
    [
      'nested too deeply in a delta',
      `{"choices":[{"delta":{"x":${'['.repeat(1000)}`,
      'nested more than 128 levels deep',
    ],
    ['of too many values', `{"x":[${'0,'.repeat(20_000)}0]}`, 'more than 20000 values and names'],
  ])('is not asked for again: JSON %s', (_, data, why) => {
    expect(() => read(data)).toThrow(
      expect.objectContaining({
        code: 'upstream_invalid_response',
        message: expect.stringContaining(why),
        retryable: false,
      }),
    )
  })

  it('is not quoted to the reader', () => {
    expect(() => read('{"prompt":"secret"')).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('secret') }),
    )
  })
})
