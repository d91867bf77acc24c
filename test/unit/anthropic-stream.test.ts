import Anthropic, { NotFoundError } from '@anthropic-ai/sdk'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SluiceError, toFailedDone, type ErrorCode } from '../../src/errors.ts'
import { anthropicMessages } from '../../src/protocols/anthropic/messages.ts'
import type { Done, StreamEvent } from '../../src/stream/events.ts'
import { EventDecoder } from '../../src/sse/decode.ts'
import { logOf, sdkMessage } from './anthropic-recordings.ts'
import { accumulate, anyDelta } from './any-delta.ts'

const usage = { prompt_tokens: 12, completion_tokens: 5, total_tokens: 17 }
const done: Done = { type: 'done', finish_reason: 'stop', usage }
const content = (words: string): StreamEvent => ({ type: 'delta', content: words })

/** The frames of a whole log, read event by event. */
function framesOf(...events: StreamEvent[]): string {
  const log = logOf(events)
  let encoder = anthropicMessages.encoder(log.info)
  let text = ''
  for (let seq = 1; seq <= log.last; seq++) {
    const encoded = encoder.encode(log.read(seq - 1, seq)!)
    text += encoded.text
    encoder = encoded.next
  }
  return text
}

/** The data of each frame, whose name is its type. */
function told(...events: StreamEvent[]): Record<string, unknown>[] {
  return new EventDecoder().push(new TextEncoder().encode(framesOf(...events))).map(({ event, data }) => {
    const fields = JSON.parse(data) as Record<string, unknown>
    expect(event).toBe(fields.type)
    return fields
  })
}

const typesOf = (...events: StreamEvent[]) => told(...events).map(({ type }) => type)

describe('a stream of another provider', () => {
  it('is told as Anthropic tells its own', () => {
    expect(
      told(
        { type: 'delta', role: 'assistant', carried: { openai: { chunk: { id: 'chatcmpl-1' } } } },
        content('Hel'),
        content('lo'),
        done,
      ),
    ).toEqual([
      {
        type: 'message_start',
        message: {
          id: 'msg_str_1',
          type: 'message',
          role: 'assistant',
          model: 'public-name',
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: { input_tokens: 0, output_tokens: 0 },
        },
      },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hel' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'lo' } },
      { type: 'content_block_stop', index: 0 },
      {
        type: 'message_delta',
        delta: { stop_reason: 'end_turn', stop_sequence: null },
        usage: { input_tokens: 12, output_tokens: 5 },
      },
      { type: 'message_stop' },
    ])
  })

  it('has a block for each kind of what it says, in its order', async () => {
    const frames = framesOf(
      { type: 'delta', role: 'assistant', carried: { openai: { chunk: { model: 'gpt-real' } } } },
      { type: 'delta', reasoning: 'Hm, ' },
      { type: 'delta', reasoning: 'yes' },
      { type: 'delta', content: 'Let me look.' },
      { type: 'delta', tool_calls: [{ index: 0, id: 'a', type: 'function', function: { name: 'f', arguments: '' } }] },
      { type: 'delta', tool_calls: [{ index: 0, function: { arguments: '{"x"' } }] },
      { type: 'delta', tool_calls: [{ index: 0, function: { arguments: ':1}' } }] },
      {
        type: 'delta',
        tool_calls: [
          { index: 1, id: 'b', type: 'function', function: { name: 'g', arguments: '{}' } },
          { index: 2, id: 'c', type: 'function', function: { name: 'h', arguments: '{"y":[' } },
        ],
      },
      { type: 'delta', tool_calls: [{ index: 2, function: { arguments: ']}' } }] },
      { ...done, finish_reason: 'tool_calls' },
    )
    expect(await sdkMessage(frames)).toMatchObject({
      model: 'gpt-real',
      content: [
        { type: 'thinking', thinking: 'Hm, yes', signature: '' },
        { type: 'text', text: 'Let me look.' },
        { type: 'tool_use', id: 'a', name: 'f', input: { x: 1 } },
        { type: 'tool_use', id: 'b', name: 'g', input: {} },
        { type: 'tool_use', id: 'c', name: 'h', input: { y: [] } },
      ],
      stop_reason: 'tool_use',
      usage: { input_tokens: 12, output_tokens: 5 },
    })
  })

  it('may mix the arguments of its calls', async () => {
    const call = (index: number, id: string): StreamEvent => ({
      type: 'delta',
      tool_calls: [{ index, id, type: 'function', function: { name: 'f', arguments: '' } }],
    })
    const args = (index: number, json: string): StreamEvent => ({
      type: 'delta',
      tool_calls: [{ index, function: { arguments: json } }],
    })
    const events = [call(0, 'a'), call(1, 'b'), args(0, '{"x":'), args(1, '{"y":'), args(0, '1}'), args(1, '2}'), done]
    expect(await sdkMessage(framesOf(...events))).toMatchObject({
      content: [
        { id: 'a', input: { x: 1 } },
        { id: 'b', input: { y: 2 } },
      ],
    })
  })

  it('refuses in a text', () => {
    expect(told({ type: 'delta', refusal: 'No.' }, { ...done, finish_reason: 'content_filter' })).toContainEqual({
      type: 'content_block_delta',
      index: 0,
      delta: { type: 'text_delta', text: 'No.' },
    })
  })

  it('that says nothing is a message without content', () => {
    expect(typesOf(done)).toEqual(['message_start', 'message_delta', 'message_stop'])
  })

  it('keeps other choices and fields that mean something else elsewhere to itself', () => {
    const events = told(
      content('a'),
      { type: 'delta', index: 1, content: 'b' },
      { type: 'delta', carried: { openai: { choice: { stop_reason: 128_009, logprobs: {} } } } },
      done,
    )
    expect(JSON.stringify(events)).not.toMatch(/"b"|128009/)
    const fields = {
      signature: 's',
      content_block: { type: 'x' },
      redacted_thinking: 'r',
      citation: {},
      stop_reason: 's',
    }
    expect(
      typesOf({ type: 'delta', carried: { openai: { delta: fields, choice: fields, chunk: fields } } }, done),
    ).toEqual(typesOf(done))
    expect(events.at(-2)).toMatchObject({ delta: { stop_reason: 'end_turn' } })
  })

  it.each([
    ['stop', 'end_turn'],
    ['length', 'max_tokens'],
    ['tool_calls', 'tool_use'],
    ['content_filter', 'refusal'],
  ] as const)('that ends in %s has the stop reason %s', (finish_reason, stop_reason) => {
    expect(told(content('a'), { ...done, finish_reason }).at(-2)).toMatchObject({ delta: { stop_reason } })
  })

  it('that stops after a call has stopped for it', () => {
    const call: StreamEvent = {
      type: 'delta',
      tool_calls: [{ index: 0, id: 'a', function: { name: 'f', arguments: '{}' } }],
    }
    expect(told(call, done).at(-2)).toMatchObject({ delta: { stop_reason: 'tool_use' } })
  })

  it('has its counts told apart, as Anthropic does', () => {
    const details = {
      ...usage,
      prompt_tokens_details: { cached_tokens: 10 },
      completion_tokens_details: { reasoning_tokens: 3 },
      cost: 0.5,
    }
    expect(told({ ...done, usage: details }).at(-2)).toMatchObject({
      usage: {
        input_tokens: 2,
        cache_read_input_tokens: 10,
        output_tokens: 5,
        output_tokens_details: { thinking_tokens: 3 },
        cost: 0.5,
      },
    })
    expect(told({ type: 'done', finish_reason: 'stop' }).at(-2)).toMatchObject({
      usage: { input_tokens: 0, output_tokens: 0 },
    })
  })

  it('loses no text, whatever its deltas', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyDelta, { maxLength: 20 }), async (deltas) => {
        const { texts } = accumulate(deltas)
        const answer = (await anthropicMessages.renderWhole(logOf([...deltas, done]))) as {
          content: Record<string, string>[]
        }
        const all = (field: string) => answer.content.map((block) => block[field] ?? '').join('')
        expect(all('thinking')).toBe(texts['0 reasoning'] ?? '')
        expect(all('text')).toHaveLength((texts['0 content'] ?? '').length + (texts['0 refusal'] ?? '').length)
      }),
    )
  })

  it('begins and ends each block, one after the other', () => {
    fc.assert(
      fc.property(fc.array(anyDelta, { maxLength: 20 }), (deltas) => {
        const events = told(...deltas, done)
        let open: unknown
        let blocks = 0
        for (const { type, index } of events) {
          if (type === 'content_block_start') {
            expect([open, index]).toEqual([undefined, blocks])
            open = index
            blocks += 1
          } else if (type === 'content_block_stop') {
            expect(index).toBe(open)
            open = undefined
          } else if (type === 'content_block_delta') {
            expect(index).toBeLessThan(blocks)
          }
        }
        expect(open).toBeUndefined()
      }),
    )
  })
})

describe('a stream without a good end', () => {
  it.each<[code: string, type: string]>([
    ['upstream_unavailable', 'overloaded_error'],
    ['upstream_rate_limited', 'rate_limit_error'],
    ['upstream_timeout', 'timeout_error'],
    ['upstream_rejected', 'invalid_request_error'],
    ['upstream_truncated', 'api_error'],
    ['upstream_auth', 'api_error'],
    ['gateway_shutdown', 'overloaded_error'],
    ['code_to_come', 'api_error'],
  ])('because of %s ends in %s, and never in message_stop', (code, type) => {
    const failed: Done = {
      type: 'done',
      finish_reason: 'error',
      error: { code, message: 'It broke.', retryable: true },
    }
    const events = told(content('some'), failed)
    expect(events.at(-1)).toEqual({ type: 'error', error: { type, message: 'It broke.', sluice_code: code } })
    expect(events.map((event) => event.type)).toEqual([
      'message_start',
      'content_block_start',
      'content_block_delta',
      'error',
    ])
  })

  it('tells how it ended, and its usage, when it failed after that', () => {
    const failed: Done = {
      type: 'done',
      finish_reason: 'error',
      error: { code: 'upstream_error', message: 'Late.', retryable: true },
      usage,
      carried: { anthropic: { stop_reason: 'end_turn', error: { type: 'api_error', message: 'Late.' } } },
    }
    const [, , , ...rest] = told(content('some'), failed)
    expect(rest).toEqual([
      { type: 'content_block_stop', index: 0 },
      {
        type: 'message_delta',
        delta: { stop_reason: 'end_turn', stop_sequence: null },
        usage: { input_tokens: 12, output_tokens: 5 },
      },
      { type: 'error', error: { type: 'api_error', message: 'Late.', sluice_code: 'upstream_error' } },
    ])
  })

  it('because it was cancelled ends in an error, too', () => {
    expect(told(content('some'), { type: 'done', finish_reason: 'cancelled' }).at(-1)).toEqual({
      type: 'error',
      error: { type: 'api_error', message: 'The stream was cancelled.', sluice_code: 'cancelled' },
    })
  })

  it('is an error to the SDK, before the first token and after it', async () => {
    const failed: Done = {
      type: 'done',
      finish_reason: 'error',
      error: { code: 'upstream_unavailable', message: 'Overloaded', retryable: true },
    }
    for (const events of [[failed], [content('some'), failed]])
      await expect(sdkMessage(framesOf(...events))).rejects.toThrow(/overloaded_error.*Overloaded/)
  })
})

describe('a stream of an upstream that does not count', () => {
  it.each([{ usage: null }, {}, { usage: { input_tokens: 3 } }])(
    'has counts that the SDK can read, after a start with %j',
    async (message_start) => {
      const start: StreamEvent = { type: 'delta', role: 'assistant', carried: { anthropic: { message_start } } }
      const events = [start, content('Hi'), { type: 'done' as const, finish_reason: 'stop' as const }]
      expect(await sdkMessage(framesOf(...events))).toMatchObject({ usage: { output_tokens: 0 } })
      expect(await anthropicMessages.renderWhole(logOf(events))).toMatchObject({ usage: { output_tokens: 0 } })
    },
  )
})

describe('a whole answer', () => {
  it('ignores deltas without a type, as SDKs do', async () => {
    const carried = { anthropic: { content_block_delta: { text: 'x' } } }
    const events: StreamEvent[] = [content('Hi'), { type: 'delta', carried }, done]
    expect(await anthropicMessages.renderWhole(logOf(events))).toMatchObject({
      content: [{ type: 'text', text: 'Hi' }],
    })
  })

  it('is a message', async () => {
    expect(await anthropicMessages.renderWhole(logOf([content('Hel'), content('lo'), done]))).toEqual({
      id: 'msg_str_1',
      type: 'message',
      role: 'assistant',
      model: 'public-name',
      content: [{ type: 'text', text: 'Hello' }],
      stop_reason: 'end_turn',
      stop_sequence: null,
      usage: { input_tokens: 12, output_tokens: 5 },
    })
  })

  it('is no message when the stream has failed', async () => {
    const error = { code: 'upstream_error', message: 'It broke.', retryable: true }
    expect(
      await anthropicMessages.renderWhole(logOf([content('x'), { type: 'done', finish_reason: 'error', error }])),
    ).toEqual({
      type: 'error',
      error: { type: 'api_error', message: 'It broke.', sluice_code: 'upstream_error' },
    })
  })
})

it('beats with a ping, which no client takes for anything else', async () => {
  const frames =
    anthropicMessages.heartbeat + framesOf(content('Hi'), done).replaceAll('\n\n', `\n\n${anthropicMessages.heartbeat}`)
  expect(await sdkMessage(frames)).toMatchObject({ content: [{ text: 'Hi' }] })
  expect(anthropicMessages.reconnects).toBe(false)
})

describe('the error object of an Anthropic upstream', () => {
  const error = { type: 'invalid_request_error', message: 'No.', details: { error_code: 'x' }, fault: 1 }
  const carried = { anthropic: { error } }

  it('is the one of the stream', () => {
    const failed = toFailedDone(new SluiceError('upstream_rejected', 'No.', { carried }))
    expect(told(content('some'), failed).at(-1)).toEqual({
      type: 'error',
      error: { ...error, sluice_code: 'upstream_rejected' },
    })
  })

  it('is the one of the response', () => {
    const thrown = new SluiceError('upstream_rejected', 'No.', { carried, upstreamStatus: 400 })
    expect(anthropicMessages.renderError(thrown, 'req_1')).toMatchObject({
      status: 400,
      body: { type: 'error', error: { ...error, sluice_code: 'upstream_rejected' }, request_id: 'req_1' },
    })
  })

  it('of another wire is not: the nearest type is', () => {
    const quota = { message: 'Pay.', type: 'insufficient_quota', code: 'insufficient_quota' }
    const thrown = new SluiceError('upstream_rate_limited', 'Pay.', { carried: { openai: { error: quota } } })
    expect(anthropicMessages.renderError(thrown, 'req_1').body).toMatchObject({
      error: { type: 'rate_limit_error', message: 'Pay.', sluice_code: 'upstream_rate_limited' },
    })
  })
})

describe('an error before the stream', () => {
  it.each<[code: ErrorCode, upstreamStatus: number | undefined, status: number, type: string]>([
    ['invalid_request', undefined, 400, 'invalid_request_error'],
    ['unknown_model', undefined, 404, 'not_found_error'],
    ['body_too_large', undefined, 413, 'request_too_large'],
    ['unsupported_media_type', undefined, 415, 'invalid_request_error'],
    ['upstream_rate_limited', 429, 429, 'rate_limit_error'],
    ['upstream_rejected', 402, 402, 'billing_error'],
    ['upstream_auth', 401, 502, 'api_error'],
    ['upstream_unavailable', 529, 529, 'overloaded_error'],
    ['upstream_invalid_response', 200, 502, 'api_error'],
    ['upstream_timeout', undefined, 504, 'timeout_error'],
    ['store_full', undefined, 503, 'overloaded_error'],
    ['internal_error', undefined, 500, 'api_error'],
    ['cancelled', undefined, 499, 'api_error'],
  ])('%s (%s) is %i %s', (code, upstreamStatus, status, type) => {
    const options = upstreamStatus === undefined ? {} : { upstreamStatus }
    const error = new SluiceError(code, 'It is so.', options)
    expect(anthropicMessages.renderError(error, 'req_1')).toEqual({
      status,
      type: 'application/json',
      headers: { 'request-id': 'req_1', 'x-should-retry': String(error.retryable) },
      body: { type: 'error', error: { type, message: 'It is so.', sluice_code: code }, request_id: 'req_1' },
    })
  })

  it('is to the SDK what it is from Anthropic', async () => {
    const {
      status,
      headers = {},
      body,
    } = anthropicMessages.renderError(new SluiceError('unknown_model', 'No such model.'), 'req_1')
    const client = new Anthropic({
      apiKey: 'key',
      fetch: () =>
        Promise.resolve(
          new Response(JSON.stringify(body), {
            status: status!,
            headers: { ...headers, 'content-type': 'application/json' },
          }),
        ),
    })
    const failure = client.messages.create({ model: 'm', max_tokens: 1, messages: [{ role: 'user', content: 'hi' }] })
    await expect(failure).rejects.toMatchObject({ status: 404, type: 'not_found_error', requestID: 'req_1' })
    await expect(failure).rejects.toBeInstanceOf(NotFoundError)
  })
})
