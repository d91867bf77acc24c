import { describe, expect, it } from 'vitest'
import { MessageReader } from '../../providers/anthropic/events.ts'
import { ProviderError, type Delta, type Done, type StreamEvent } from '../../providers/provider.ts'
import { checkEvent } from '../../src/stream/check-event.ts'
import { answers, eventsOf } from './anthropic-recordings.ts'

function read(...events: unknown[]): Delta[] {
  const reader = new MessageReader()
  return events.flatMap((event) => reader.read(typeof event === 'string' ? event : JSON.stringify(event)))
}

function endOf(...events: unknown[]): StreamEvent[] {
  const reader = new MessageReader()
  for (const event of events) reader.read(JSON.stringify(event))
  return reader.end()
}

const begin = { type: 'message_start', message: { id: 'msg_1' } }

/** The end of a stream with a start and a stop. */
function wholeOf(...events: unknown[]): StreamEvent[] {
  return endOf(begin, ...events, { type: 'message_stop' })
}

function doneOf(name: string): Done {
  const done = eventsOf(name).at(-1)
  if (done?.type !== 'done') throw new Error('no done')
  return done
}

/** The deltas of a recording, less the first, which begins the message. */
function deltasOf(name: string): StreamEvent[] {
  return eventsOf(name).slice(1, -1)
}

const start = (content_block: unknown, index = 0) => ({ type: 'content_block_start', index, content_block })
const delta = (fields: unknown, index = 0) => ({ type: 'content_block_delta', index, delta: fields })
const stop = (index = 0) => ({ type: 'content_block_stop', index })
const end = (stop_reason: string, more: object = {}) => ({
  type: 'message_delta',
  delta: { stop_reason, stop_sequence: null, ...more },
  usage: { output_tokens: 3 },
})

function codeOf(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return error instanceof ProviderError && { code: error.code, retryable: error.retryable, message: error.message }
  }
  return 'nothing was thrown'
}

describe('what a recorded stream says', () => {
  it.each(answers)('%s: events that a log accepts', (name) => {
    for (const event of eventsOf(name)) expect(checkEvent(event)).toBe(event)
  })

  it('begins with the role, and with what the message says of itself', () => {
    expect(eventsOf('cache')[0]).toEqual({
      type: 'delta',
      role: 'assistant',
      carried: {
        anthropic: {
          id: 'msg_01XFDUDYJgAACzvnptvVoYEL',
          model: 'claude-opus-4-8',
          message_start: { stop_details: null, usage: expect.objectContaining({ input_tokens: 3 }) },
        },
      },
    })
  })

  it('text is content and nothing else, pings or not', () => {
    expect(deltasOf('text')).toEqual([
      { type: 'delta', content: 'Grüße' },
      { type: 'delta', content: ' 👋🏽,' },
      { type: 'delta', content: '\nline two.' },
    ])
    expect(deltasOf('pings')).toEqual([
      { type: 'delta', content: 'a' },
      { type: 'delta', content: 'b' },
      { type: 'delta', carried: { anthropic: { content_block: { type: 'text', text: '' } } } },
    ])
  })

  it('thoughts are reasoning, and their signature is carried', () => {
    expect(deltasOf('thinking').slice(0, 4)).toEqual([
      { type: 'delta', reasoning: 'Let me ' },
      { type: 'delta', reasoning: 'think.\n\n27 * 453' },
      { type: 'delta', reasoning: ' = 12,231' },
      {
        type: 'delta',
        carried: { anthropic: { signature: 'EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds==' } },
      },
    ])
    expect(deltasOf('thinking-omitted')[0]).toEqual({
      type: 'delta',
      carried: { anthropic: { signature: 'EosnCkYICxIMMb3LzNrMu/AAA==' } },
    })
    expect(deltasOf('redacted-thinking')[0]).toEqual({
      type: 'delta',
      carried: { anthropic: { redacted_thinking: expect.stringMatching(/^EmwK/) } },
    })
  })

  it('tool calls are numbered, have JSON whether they need any or not, and carry what OpenAI has no name for', () => {
    const calls = deltasOf('tools').flatMap((event) => (event.type === 'delta' && event.tool_calls) || [])
    const texts = ['', '', '']
    for (const { index, function: called } of calls) texts[index] += called?.arguments ?? ''
    expect(calls.filter(({ id }) => id !== undefined)).toEqual([
      expect.objectContaining({ index: 0, type: 'function', function: { name: 'get_weather', arguments: '' } }),
      expect.objectContaining({ index: 1, function: { name: 'get_time', arguments: '' } }),
      expect.objectContaining({ index: 2, id: 'toolu_01A09q90qw90lq917835lq9' }),
    ])
    expect(texts.map((text): unknown => JSON.parse(text))).toEqual([
      { city: 'San Francisco, ÇA', unit: '°C' },
      {},
      { city: 'Köln' },
    ])
    expect(deltasOf('tools')[2]).toMatchObject({
      carried: { anthropic: { content_block: { caller: { type: 'direct' } } } },
    })
  })

  it('an input that comes with the start of a call, and a text that does, are told as deltas', () => {
    expect(deltasOf('compatible')).toEqual([
      { type: 'delta', content: 'Hel' },
      { type: 'delta', content: 'lo' },
      {
        type: 'delta',
        tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name: 'find', arguments: '' } }],
      },
      { type: 'delta', tool_calls: [{ index: 0, function: { arguments: '{"q":"x"}' } }] },
    ])
  })

  it('a block is told where the deltas would run into the block before it, or say less than it does', () => {
    expect(
      deltasOf('citations').filter((event) => event.type === 'delta' && event.carried?.anthropic?.content_block),
    ).toEqual([
      { type: 'delta', carried: { anthropic: { content_block: { type: 'text', text: '', citations: [] } } } },
      { type: 'delta', carried: { anthropic: { content_block: { type: 'text', text: '' } } } },
      { type: 'delta', carried: { anthropic: { content_block: { type: 'text', text: '' } } } },
      { type: 'delta', carried: { anthropic: { content_block: { type: 'text', text: '' } } } },
    ])
    expect(deltasOf('server-tool').slice(1, 5)).toEqual([
      {
        type: 'delta',
        carried: {
          anthropic: { content_block: expect.objectContaining({ type: 'server_tool_use', name: 'web_search' }) },
        },
      },
      {
        type: 'delta',
        carried: { anthropic: { content_block_delta: { type: 'input_json_delta', partial_json: '{"query":' } } },
      },
      {
        type: 'delta',
        carried: {
          anthropic: {
            content_block_delta: { type: 'input_json_delta', partial_json: ' "claude shannon birth date"}' },
          },
        },
      },
      {
        type: 'delta',
        carried: { anthropic: { content_block: expect.objectContaining({ type: 'web_search_tool_result' }) } },
      },
    ])
  })

  it('a block is told that has no deltas, and one that starts with more than they say', () => {
    const thinking = { type: 'thinking', thinking: '', signature: '' }
    const cited = { type: 'text', text: '', citations: [] }
    expect(
      read(start(thinking), stop(), start(cited, 1), delta({ type: 'text_delta', text: 'x' }, 1), stop(1)),
    ).toEqual([
      { type: 'delta', carried: { anthropic: { content_block: thinking } } },
      { type: 'delta', carried: { anthropic: { content_block: cited } } },
      { type: 'delta', content: 'x' },
    ])
  })

  it('deltas and blocks of a beta are carried as they are', () => {
    expect(deltasOf('compaction').slice(0, 4)).toEqual([
      { type: 'delta', carried: { anthropic: { content_block: { type: 'compaction', content: null } } } },
      {
        type: 'delta',
        carried: { anthropic: { content_block_delta: expect.objectContaining({ type: 'compaction_delta' }) } },
      },
      { type: 'delta', carried: { anthropic: { content_block: { type: 'thinking', thinking: '', signature: '' } } } },
      {
        type: 'delta',
        carried: { anthropic: { content_block_delta: { type: 'thinking_delta', thinking: '', estimated_tokens: 50 } } },
      },
    ])
  })
})

describe('how a stream ends', () => {
  it.each([
    ['text', 'stop', undefined],
    ['tools', 'tool_calls', undefined],
    ['max-tokens', 'length', undefined],
    [
      'refusal',
      'content_filter',
      { message_delta: { delta: { stop_details: expect.objectContaining({ category: 'cyber' }) } } },
    ],
    ['context-window', 'length', { stop_reason: 'model_context_window_exceeded', stop_sequence: null }],
    ['stop-sequence', 'stop', { stop_reason: 'stop_sequence', stop_sequence: '\n\nHuman:' }],
    [
      'pause-turn',
      'stop',
      {
        stop_reason: 'pause_turn',
        stop_sequence: null,
        message_delta: { delta: { container: expect.objectContaining({ id: 'container_011' }) } },
      },
    ],
  ])('%s: %s', (name, finish_reason, anthropic) => {
    expect(doneOf(name)).toMatchObject({ finish_reason, model: 'claude-opus-4-8' })
    const last = eventsOf(name).at(-2)
    if (anthropic) expect(last).toEqual({ type: 'delta', carried: { anthropic } })
    else expect(last).not.toHaveProperty('carried.anthropic.stop_reason')
  })

  it.each([
    ['guardrail_intervened', 'content_filter'],
    ['CONTENT_FILTERED', 'content_filter'],
    ['safety', 'content_filter'],
    ['length', 'length'],
    ['max_output_tokens', 'length'],
    ['model_length', 'length'],
    ['tool_calls', 'tool_calls'],
    ['eos', 'stop'],
    ['compaction', 'stop'],
  ])('takes %s, a word of another API, for %s and passes it on', (word, finish_reason) => {
    const events = endOf(begin, end(word), { type: 'message_stop' })
    expect(events).toEqual([
      { type: 'delta', carried: { anthropic: { stop_reason: word, stop_sequence: null } } },
      expect.objectContaining({ type: 'done', finish_reason }),
    ])
  })

  it.each(['error', 'network_error', 'malformed_function_call', 'timeout'])('is an error with %s', (word) => {
    expect(codeOf(() => endOf(begin, end(word), { type: 'message_stop' }))).toMatchObject({ code: 'upstream_error' })
  })

  it('counts input as OpenAI does, beside what Anthropic says itself', () => {
    expect(doneOf('cache').usage).toEqual({
      prompt_tokens: 10_251,
      completion_tokens: 4,
      total_tokens: 10_255,
      prompt_tokens_details: { cached_tokens: 10_000 },
      cache_creation_input_tokens: 248,
      cache_read_input_tokens: 10_000,
      cache_creation: { ephemeral_5m_input_tokens: 248, ephemeral_1h_input_tokens: 0 },
      service_tier: 'standard',
      inference_geo: 'not_available',
    })
    expect(doneOf('thinking').usage).toMatchObject({ completion_tokens_details: { reasoning_tokens: 42 } })
  })

  it('believes the last of several counts', () => {
    expect(doneOf('server-tool').usage).toMatchObject({
      prompt_tokens: 10_682,
      completion_tokens: 510,
      total_tokens: 11_192,
      server_tool_use: { web_search_requests: 1, web_fetch_requests: 0 },
    })
  })

  it('says null where the message began without it', () => {
    const message_delta = { delta: { stop_details: null } }
    expect(wholeOf(end('end_turn', { stop_details: null }))[0]).toEqual({
      type: 'delta',
      carried: { anthropic: { message_delta } },
    })
    const begun = { type: 'message_start', message: { stop_details: null } }
    expect(endOf(begun, end('end_turn', { stop_details: null }), { type: 'message_stop' })).toHaveLength(1)
  })

  it('with a stop reason and no `message_stop` was cut, as to the SDK, and carries what it said', () => {
    const reader = new MessageReader()
    for (const event of [begin, end('end_turn')]) reader.read(JSON.stringify(event))
    expect(() => reader.end()).toThrow(
      expect.objectContaining({
        code: 'upstream_truncated',
        retryable: false,
        carried: { anthropic: { stop_reason: 'end_turn' } },
        usage: expect.objectContaining({ completion_tokens: 3 }),
      }),
    )
  })

  it('with no `message_start` was cut, as to the SDK', () => {
    const events = [start({ type: 'text', text: '' }), stop(), end('end_turn'), { type: 'message_stop' }]
    expect(codeOf(() => endOf(...events))).toMatchObject({ code: 'upstream_truncated', retryable: false })
  })

  it('with `[DONE]` in place of `message_stop` is an end when there is a stop reason', () => {
    const reader = new MessageReader()
    reader.read(JSON.stringify(begin))
    reader.read(' [DONE]')
    expect(reader.finished).toBe(true)
    expect(codeOf(() => reader.end())).toMatchObject({ code: 'upstream_truncated' })
    reader.read(JSON.stringify(end('end_turn')))
    expect(reader.end().at(-1)).toMatchObject({ finish_reason: 'stop' })
  })

  it('with `message_stop` and no stop reason is an end, and carries that it had none', () => {
    const unsaid = { type: 'delta', carried: { anthropic: { stop_reason: null, stop_sequence: null } } }
    const finished = (finish_reason: string) => [unsaid, { type: 'done', finish_reason }]
    expect(endOf(begin, { type: 'message_stop' })).toEqual(finished('stop'))
    const call = start({ type: 'tool_use', id: 'a', name: 'f', input: {} })
    expect(endOf(begin, call, stop(), { type: 'message_stop' })).toEqual(finished('tool_calls'))
  })

  it.each([[[{ type: 'message_stop' }]], [[end('end_turn'), { type: 'message_stop' }]]])(
    'without a message is a stream that was cut: %j',
    (events) => {
      expect(codeOf(() => endOf(...events))).toMatchObject({ code: 'upstream_truncated' })
    },
  )

  it('leaves a call without its end that was cut off', () => {
    const call = start({ type: 'tool_use', id: 'a', name: 'f', input: {} })
    expect(wholeOf(call, end('max_tokens'))).toMatchObject([{ type: 'done', finish_reason: 'length' }])
    expect(wholeOf(call, end('tool_use'))).toMatchObject([{ tool_calls: [{}] }, { type: 'done' }])
  })

  it('carries a usage that the counts cannot say', () => {
    const usage = { input_tokens: 3, output_tokens: 2, prompt_tokens_details: { cached_tokens: 30 } }
    expect(wholeOf({ ...end('end_turn'), usage }).at(-1)).toMatchObject({ carried: { anthropic: { usage } } })
    expect(wholeOf({ ...end('end_turn'), usage: { input_tokens: 3, output_tokens: 2 } }).at(-1)).not.toHaveProperty(
      'carried',
    )
  })

  it('with neither is a stream that was cut', () => {
    const cut = { type: 'message_delta', delta: { stop_reason: null }, usage: { output_tokens: 1 } }
    expect(codeOf(() => endOf(start({ type: 'text', text: '' }), cut))).toMatchObject({ code: 'upstream_truncated' })
  })
})

describe('a stream that fails', () => {
  it.each([
    ['{"message":"told so"}', undefined],
    ['{"detail":"told so"}', 'message'],
    ['{"message":"told so"}', 'exception'],
    ['{"type":"error","error":"told so"}', 'error'],
    ['{"type":"error","message":"told so"}', 'error'],
    ['[{"error":{"message":"told so"}}]', undefined],
  ])('with an error that does not say so fails in its words: %s, an event named %s', (data, name) => {
    expect(codeOf(() => new MessageReader().read(data, name))).toMatchObject({
      code: 'upstream_error',
      message: 'told so',
    })
  })

  it('after it said how it ended carries that, and its usage', () => {
    const reader = new MessageReader()
    for (const event of [begin, end('end_turn')]) reader.read(JSON.stringify(event))
    const error = { type: 'api_error', message: 'late' }
    expect(() => reader.read(JSON.stringify({ type: 'error', error }))).toThrow(
      expect.objectContaining({
        carried: { anthropic: { error, stop_reason: 'end_turn' } },
        usage: expect.objectContaining({ completion_tokens: 3 }),
      }),
    )
  })

  it.each([
    ['overloaded_error', 'upstream_unavailable', true],
    ['rate_limit_error', 'upstream_rate_limited', true],
    ['api_error', 'upstream_error', true],
    ['timeout_error', 'upstream_timeout', true],
    ['invalid_request_error', 'upstream_rejected', false],
    ['not_found_error', 'upstream_not_found', false],
    ['error_to_come', 'upstream_error', true],
    ['constructor', 'upstream_error', true],
    ['__proto__', 'upstream_error', true],
  ])('with %s: %s, in its own words', (type, code, retryable) => {
    const error = { type: 'error', error: { type, message: 'told so' } }
    expect(codeOf(() => read(error))).toEqual({ code, retryable, message: 'told so' })
  })

  it.each(['authentication_error', 'permission_error', 'billing_error'])('with %s, not in its words', (type) => {
    const error = { type: 'error', error: { type, message: 'bad key sk-ant-secret' } }
    expect(codeOf(() => read(error))).toEqual({
      code: 'upstream_auth',
      retryable: false,
      message: 'The upstream failed.',
    })
  })

  it.each<[what: string, events: unknown[]]>([
    ['broken JSON', ['{"type":']],
    ['something that is no event', ['[1]']],
    ['a delta before its block', [delta({ type: 'text_delta', text: 'x' })]],
    ['a delta of another block', [start({ type: 'text', text: '' }), delta({ type: 'text_delta', text: 'x' }, 1)]],
    [
      'a delta after its block',
      [
        start({ type: 'text', text: '' }),
        stop(),
        start({ type: 'text', text: '' }, 1),
        delta({ type: 'text_delta', text: 'x' }),
      ],
    ],
    [
      'arguments after their call',
      [start({ type: 'tool_use', id: 'a', name: 'f' }), stop(), delta({ type: 'input_json_delta', partial_json: '{' })],
    ],
    ['another message within a message', [begin, { type: 'message_start', message: { id: 'msg_2' } }]],
    ['a text that is no text', [start({ type: 'text', text: '' }), delta({ type: 'text_delta', text: 1 })]],
    ['a tool call without a name', [start({ type: 'tool_use', id: 'a', input: {} }), stop()]],
    ['a block without a type', [start({})]],
    ['a type that cannot be a text', [delta({ type: { toString: 1 }, x: 1 })]],
    ['an error that is no object', [{ type: 'error', error: 'x' }]],
  ])('with %s', (what, events) => {
    const code = what === 'an error that is no object' ? 'upstream_error' : 'upstream_invalid_response'
    expect(codeOf(() => read(...events))).toMatchObject({ code })
  })
})

describe('a stream over a limit', () => {
  const tooMuch = { code: 'upstream_invalid_response', retryable: false }

  it('fails with more than 1,024 tool calls', () => {
    const reader = new MessageReader()
    const call = (i: number) => reader.read(JSON.stringify(start({ type: 'tool_use', id: `t${i}`, name: 'f' })))
    for (let i = 0; i < 1024; i++) call(i)
    expect(codeOf(() => call(1024))).toEqual({ ...tooMuch, message: 'The upstream sent more than 1024 tool calls.' })
  })

  it('fails with more than 1 MiB of message_delta events', () => {
    const reader = new MessageReader()
    const small = JSON.stringify({ type: 'message_delta', usage: { output_tokens: 1 }, x: 'x'.repeat(4000) })
    for (let i = 0; i < 3000; i++) expect(reader.read(small)).toEqual([])
    const message = JSON.stringify({ type: 'message_delta', x: 'x'.repeat(128 * 1024) })
    for (let i = 0; i < 7; i++) expect(reader.read(message)).toEqual([])
    expect(codeOf(() => reader.read(message))).toMatchObject(tooMuch)
  })

  it('fails with more than 256 fields in message_delta events', () => {
    const reader = new MessageReader()
    const fields = (from: number) => Object.fromEntries(Array.from({ length: 128 }, (_, i) => [`x${from + i}`, 1]))
    const message = (from: number) => JSON.stringify({ type: 'message_delta', delta: fields(from) })
    for (const from of [0, 128, 0, 128]) expect(reader.read(message(from))).toEqual([])
    expect(codeOf(() => reader.read(JSON.stringify({ type: 'message_delta', one: 'more' })))).toMatchObject(tooMuch)
  })

  it('fails with JSON that is nested too deeply', () => {
    const nested = `{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":`
    expect(codeOf(() => read(`${nested}${'['.repeat(100_000)}`))).toEqual({
      ...tooMuch,
      message: 'The upstream sent JSON that is too large: it is nested more than 128 levels deep.',
    })
  })
})

describe('the end of a message', () => {
  const done = (...events: unknown[]) => endOf(...events, begin, { type: 'message_stop' }).at(-1)

  it.each(['constructor', '__proto__', 'toString'])('accepts the stop reason %s, and carries it', (reason) => {
    expect(wholeOf(end(reason))).toMatchObject([
      { type: 'delta', carried: { anthropic: { stop_reason: reason } } },
      { type: 'done', finish_reason: 'stop' },
    ])
  })

  it('treats fields named __proto__ as ordinary fields', () => {
    const proto = '"__proto__":{"input_tokens":7}'
    const reader = new MessageReader()
    reader.read(JSON.stringify(begin))
    reader.read(`{"type":"message_delta","delta":{"stop_reason":"end_turn",${proto}},"usage":{${proto}},${proto}}`)
    reader.read('{"type":"message_stop"}')
    const [beside, last] = reader.end()
    expect(JSON.stringify(beside)).toBe(
      '{"type":"delta","carried":{"anthropic":{"message_delta":{"delta":{"__proto__":{"input_tokens":7}},"__proto__":{"input_tokens":7}}}}}',
    )
    expect(last).toMatchObject({ usage: { prompt_tokens: 0 } })
  })

  it('keeps only the three counts of a usage of more than 16 KiB', () => {
    const usage = { input_tokens: 5, output_tokens: 3, details: 'x'.repeat(17_000) }
    expect(done({ type: 'message_delta', usage })).toEqual({
      type: 'done',
      finish_reason: 'stop',
      usage: { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 },
    })
  })

  it('keeps only the three counts of a usage of more than 256 fields, in any order', () => {
    const details = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`x${i}`, 1]))
    const usages = [{ input_tokens: 5, ...details }, { ...details, output_tokens: 2 }, { output_tokens: 3 }, {}]
    expect(done(...usages.map((usage) => ({ type: 'message_delta', usage })))).toEqual({
      type: 'done',
      finish_reason: 'stop',
      usage: { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 },
    })
  })

  it.each([-1, 0.5, 1e308, '7', null])('ignores the invalid count %j', (count) => {
    const usage = { input_tokens: count, output_tokens: 3, cache_read_input_tokens: count }
    expect(done({ type: 'message_delta', usage })).toMatchObject({
      usage: { prompt_tokens: 0, completion_tokens: 3, total_tokens: 3 },
    })
  })

  it('drops an invalid model name', () => {
    const named = (length: number) =>
      done({ type: 'message_start', message: { id: 'msg_1', model: 'm'.repeat(length) } })
    expect(named(256)).toHaveProperty('model')
    expect(named(257)).not.toHaveProperty('model')
  })
})

it('passes over a delta without a type, as SDKs do', () => {
  const untyped = delta({ text: 'Hi' })
  expect(read(start({ type: 'text', text: '' }), untyped)).toEqual([])
  expect(read(start({ type: 'fallback' }), untyped)).toHaveLength(1)
})

it('passes over events that it does not know, and carries deltas that it does not know', () => {
  const unknown = { type: 'future_delta', data: [1] }
  expect(read({ type: 'future_event', x: 1 }, start({ type: 'text', text: '' }), delta(unknown))).toEqual([
    { type: 'delta', carried: { anthropic: { content_block: { type: 'text', text: '' } } } },
    { type: 'delta', carried: { anthropic: { content_block_delta: unknown } } },
  ])
})
