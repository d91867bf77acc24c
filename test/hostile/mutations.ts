// Inputs that are nearly valid: parts of valid ones are dropped, changed, repeated or moved.

import fc from 'fast-check'

/** Statuses that are correct answers to any request. */
export const FAIR = new Set([
  200, 202, 204, 400, 403, 404, 405, 406, 408, 410, 413, 415, 417, 422, 431, 499, 501, 502, 503,
])

/** Values that code often mishandles. */
const odd = fc.constantFrom<unknown>(
  null,
  '',
  'constructor',
  '__proto__',
  'toString',
  -1,
  1.5,
  1e308,
  2 ** 53,
  [],
  {},
  [[]],
  [null],
  '\ud800',
  '\0',
  true,
)
export const anything = fc.oneof({ weight: 2, arbitrary: odd }, fc.jsonValue({ maxDepth: 3 }))

/** A mutation of this value: parts are dropped, changed, repeated or moved. */
export function mutated(value: unknown): fc.Arbitrary<unknown> {
  if (Array.isArray(value))
    return fc.oneof(
      { weight: 6, arbitrary: fc.tuple(...value.map(mutated)) },
      { weight: 1, arbitrary: fc.array(fc.oneof(...value.map(mutated), anything), { maxLength: 5 }) },
      { weight: 1, arbitrary: anything },
    )
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).map(([name, each]) =>
      fc.oneof(
        { weight: 8, arbitrary: mutated(each).map((changed) => [[name, changed]]) },
        { weight: 1, arbitrary: fc.constant([]) },
        {
          weight: 1,
          arbitrary: fc.tuple(fc.constantFrom('__proto__', 'constructor', 'x', name), anything).map((pair) => [pair]),
        },
      ),
    )
    return fc.oneof(
      { weight: 9, arbitrary: fc.tuple(...fields).map((pairs) => toObject(pairs.flat())) },
      { weight: 1, arbitrary: anything },
    )
  }
  return fc.oneof({ weight: 5, arbitrary: fc.constant(value) }, { weight: 1, arbitrary: anything })
}

/** Objects as `JSON.parse` makes them: `__proto__` is an ordinary name. */
function toObject(pairs: unknown[]): unknown {
  return JSON.parse(
    `{${pairs.map((pair) => (Array.isArray(pair) ? `${JSON.stringify(pair[0])}:${JSON.stringify(pair[1]) ?? 'null'}` : '')).join(',')}}`,
  )
}

export const REQUESTS: unknown[] = [
  { messages: [{ role: 'user', content: 'hi' }], mock: { tokens: 2, interval_ms: 0 } },
  {
    model: 'mock',
    stream: true,
    stream_options: { include_usage: true },
    messages: [
      { role: 'system', content: 'x' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'a' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,aa' } },
        ],
      },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'a', content: 'b' },
    ],
    tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object', properties: {} } } }],
    tool_choice: { type: 'function', function: { name: 'f' } },
    logit_bias: { a: 1 },
    stop: ['x'],
    mock: { tokens: 1, interval_ms: 0, tool_call: true },
  },
  {
    model: 'mock',
    max_tokens: 3,
    stream: true,
    system: [{ type: 'text', text: 'x', cache_control: { type: 'ephemeral' } }],
    messages: [
      { role: 'user', content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'aa' } }] },
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'a', signature: 'b' },
          { type: 'tool_use', id: 'a', name: 'f', input: {} },
        ],
      },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content: [{ type: 'text', text: 'b' }] }] },
    ],
    tools: [{ name: 'f', input_schema: { type: 'object' } }],
    tool_choice: { type: 'tool', name: 'f', disable_parallel_tool_use: true },
    metadata: { user_id: 'u' },
    output_config: { effort: 'low', format: { type: 'json_schema', schema: {} } },
    mock: { tokens: 1, interval_ms: 0 },
  },
]

/** Shortens waits: a mock could wait for an hour. */
export function withShortWaits(body: unknown): unknown {
  return JSON.parse(JSON.stringify(body), (name, value: unknown) =>
    /_ms$|^(tokens|reasoning_tokens|stall_at)$/.test(name) && typeof value === 'number' && value > 3 ? 3 : value,
  )
}

const BODY = '{"messages":[{"role":"user","content":"hi"}],"mock":{"tokens":1,"interval_ms":0}}'
const SEEDS = [
  `POST /v1/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`,
  `POST /v1/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`,
  'GET /v1/streams/str_x?protocol=openai-chat&last_event_id=1 HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 3\r\nAccept: text/event-stream;protocol=native\r\n\r\n',
  'DELETE /v1/streams/%00 HTTP/1.1\r\nHost: [::1]:80\r\nPrefer: respond-async\r\nExpect: 100-continue\r\n\r\n',
  'GET /metrics HTTP/1.0\r\nConnection: keep-alive\r\nAccept: application/openmetrics-text;q=x\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nUpgrade: h2c\r\nContent-Encoding: br\r\n\r\n',
]
const piece = fc.constantFrom(
  '\r\n',
  '\n',
  '\r',
  '\0',
  ' ',
  ':',
  '\r\n\r\n',
  '0',
  '-1',
  'chunked',
  'gzip',
  '\xff',
  '%',
  ';',
  ',',
  '__proto__',
)
const edit = fc.record({ at: fc.nat(400), remove: fc.nat(8), insert: fc.oneof(piece, fc.string({ maxLength: 5 })) })

/** The bytes of a request, with a few edits. */
export const brokenRequest: fc.Arbitrary<string> = fc
  .record({ seed: fc.constantFrom(...SEEDS), edits: fc.array(edit, { maxLength: 4 }) })
  .map(({ seed, edits }) => {
    let bytes = seed
    for (const { at, remove, insert } of edits) bytes = bytes.slice(0, at) + insert + bytes.slice(at + remove)
    return bytes
  })

export const OPENAI_EVENTS: unknown[] = [
  {
    id: 'c',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'm',
    choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }],
  },
  {
    choices: [
      {
        index: 0,
        delta: { content: 'a', reasoning_content: 'b', refusal: null },
        logprobs: { content: [{ token: 'a' }] },
      },
    ],
  },
  {
    choices: [
      {
        index: 1,
        delta: { tool_calls: [{ index: 0, id: 'x', type: 'function', function: { name: 'f', arguments: '{' } }] },
      },
    ],
  },
  {
    choices: [{ index: 0, delta: {}, finish_reason: 'stop' }],
    usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
  },
  { error: { message: 'no', code: 429, type: 'x' } },
]
export const ANTHROPIC_EVENTS: unknown[] = [
  {
    type: 'message_start',
    message: { id: 'm', type: 'message', role: 'assistant', model: 'm', content: [], usage: { input_tokens: 1 } },
  },
  { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'a' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'citations_delta', citation: { a: 1 } } },
  { type: 'content_block_start', index: 1, content_block: { type: 'tool_use', id: 't', name: 'f', input: {} } },
  { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: '{' } },
  { type: 'content_block_stop', index: 1 },
  { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 1 } },
  { type: 'message_stop' },
  { type: 'error', error: { type: 'overloaded_error', message: 'no' } },
]
