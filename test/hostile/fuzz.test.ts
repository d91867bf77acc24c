import { once } from 'node:events'
import { connect } from 'node:net'
import { createParser } from 'eventsource-parser'
import fc from 'fast-check'
import { expect } from 'vitest'
import { EventDecoder } from '../../src/sse/decode.ts'
import { startByteServer } from '../support/byte-server.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { fuzz } from './fuzz.ts'

const PARTS = 4
const PATHS = ['/v1/chat', '/v1/chat/completions', '/v1/messages'] as const

/** Statuses that are correct answers to any request. */
const FAIR = new Set([200, 202, 204, 400, 403, 404, 405, 406, 408, 410, 413, 415, 417, 422, 431, 499, 501, 502, 503])

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
const anything = fc.oneof({ weight: 2, arbitrary: odd }, fc.jsonValue({ maxDepth: 3 }))

/** A mutation of this value: parts are dropped, changed, repeated or moved. */
function mutated(value: unknown): fc.Arbitrary<unknown> {
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

const REQUESTS: unknown[] = [
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

function expectNoBug({ logs }: TestGateway): void {
  expect(logs.filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([])
}

fuzz('answers any JSON with a status that says what is wrong with it', PARTS, async () => {
  const gateway = await startGateway({ resumeWindowMs: 0, retentionMs: 0 })
  const input = fc.record({
    path: fc.constantFrom(...PATHS),
    body: fc.oneof(...REQUESTS.map(mutated)).map((body) => withShortWaits(body)),
    accept: fc.constantFrom('text/event-stream', 'application/json', '*/*', 'a', ''),
  })
  return {
    name: 'bodies',
    input,
    async check({ path, body, accept }) {
      const answer = await fetch(gateway.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(accept && { accept }) },
        body: JSON.stringify(body),
      })
      const text = await answer.text()
      expect(FAIR).toContain(answer.status)
      if (answer.status >= 400) expect(JSON.parse(text)).toBeTypeOf('object')
      expectNoBug(gateway)
    },
  }
})

/** Shortens waits: a mock could wait for an hour. */
function withShortWaits(body: unknown): unknown {
  return JSON.parse(JSON.stringify(body), (name, value: unknown) =>
    /_ms$|^(tokens|reasoning_tokens|stall_at)$/.test(name) && typeof value === 'number' && value > 3 ? 3 : value,
  )
}

fuzz('answers or closes whatever bytes it is sent, and goes on', PARTS, async () => {
  const gateway = await startGateway()
  const { hostname, port } = new URL(gateway.url)
  const body = '{"messages":[{"role":"user","content":"hi"}],"mock":{"tokens":1,"interval_ms":0}}'
  const seeds = [
    `POST /v1/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    `POST /v1/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
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
  return {
    name: 'framing',
    input: fc.record({ seed: fc.nat(seeds.length - 1), edits: fc.array(edit, { maxLength: 4 }), again: fc.boolean() }),
    async check({ seed, edits, again }) {
      let bytes = seeds[seed] ?? ''
      for (const { at, remove, insert } of edits) bytes = bytes.slice(0, at) + insert + bytes.slice(at + remove)
      const socket = connect(Number(port), hostname)
      socket.on('error', () => {}).resume()
      socket.end(Buffer.from(again ? bytes + bytes : bytes, 'latin1'))
      const patience = setTimeout(() => socket.destroy(), 2000)
      await once(socket, 'close')
      clearTimeout(patience)
      expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200)
      expectNoBug(gateway)
    },
  }
})

const OPENAI_EVENTS: unknown[] = [
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
const ANTHROPIC_EVENTS: unknown[] = [
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

fuzz('brings every stream to one end, whatever an upstream sends', PARTS, async () => {
  let answer = ''
  const server = await startByteServer((connection) => {
    connection.socket.end(Buffer.from(answer))
  })
  const url = `http://127.0.0.1:${server.port}`
  const gateway = await startGateway({
    resumeWindowMs: 1000,
    providers: {
      openai: { type: 'openai', baseUrl: url, headers: {}, includeUsage: true },
      anthropic: { type: 'anthropic', baseUrl: url, headers: {}, maxTokens: 10 },
    },
    models: {
      openai: { target: 'openai/m', retries: 0 },
      anthropic: { target: 'anthropic/m', retries: 0 },
    },
    breaker: { failures: 1_000_000, cooldownMs: 1 },
  })
  const events = (from: unknown[]) => fc.array(fc.oneof(...from.map(mutated)), { maxLength: 8 })
  const input = fc.record({
    stream: fc.oneof(
      fc.record({ model: fc.constant('openai'), events: events(OPENAI_EVENTS) }),
      fc.record({ model: fc.constant('anthropic'), events: events(ANTHROPIC_EVENTS) }),
    ),
    status: fc.constantFrom('200 OK', '200 OK', '200 OK', '200 OK', '999 X', '429 No', '500 Oops', '204 None'),
    type: fc.constantFrom('text/event-stream', 'text/event-stream', 'application/json', 'text/html', ''),
    end: fc.constantFrom('data: [DONE]\n\n', '', 'data: {"cho', '\n\n', 'event: error\ndata: {}\n\n'),
    length: fc.constantFrom(
      '',
      '',
      '',
      'content-length: 10\r\n',
      'content-encoding: gzip\r\n',
      'transfer-encoding: chunked\r\n',
    ),
  })
  return {
    name: 'upstreams',
    input,
    async check({ stream, status, type, end, length }) {
      const text = stream.events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')
      answer = `HTTP/1.1 ${status}\r\ncontent-type: ${type}\r\n${length}connection: close\r\n\r\n${text}${end}`
      const messages = [{ role: 'user', content: 'hi' }]
      const created = await post(`${gateway.url}/v1/chat`, { model: stream.model, messages })
      expect(created.status).toBe(200)
      expect(created.text.match(/^event: done$/gm)).toHaveLength(1)
      const id = created.headers.get('sluice-stream-id')
      for (const protocol of ['openai-chat', 'anthropic-messages']) {
        const read = await fetch(`${gateway.url}/v1/streams/${id}?protocol=${protocol}`)
        await read.text()
        expect([200, 204]).toContain(read.status)
      }
      expect((await fetch(`${gateway.url}/v1/streams/${id}`, { headers: { accept: 'application/json' } })).status).toBe(
        200,
      )
      for (const path of ['/v1/chat/completions', '/v1/messages']) {
        const whole = await post(gateway.url + path, { model: stream.model, messages, max_tokens: 10 })
        // A valid status of the upstream is passed on.
        expect(whole.status).toBeLessThan(600)
      }
      expectNoBug(gateway)
    },
  }
})

async function post(url: string, body: unknown): Promise<{ status: number; headers: Headers; text: string }> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return { status: answer.status, headers: answer.headers, text: await answer.text() }
}

fuzz('reads an event stream as a parser that is not ours does, however it is cut', PARTS, async () => {
  const line = fc.oneof(
    fc.constantFrom(
      '',
      '',
      ':',
      ': x',
      'data',
      'data:',
      'data: a',
      'data:  b',
      'event: e',
      'event:',
      'id: 1',
      'id',
      'retry: 5',
      'retry: x',
      'x: y',
      '\ufeffdata: c',
      'data: \u{1f600}é\u2028',
    ),
    fc.string({ unit: 'grapheme', maxLength: 10 }).map((text) => text.replaceAll(/[\r\n]/g, '')),
  )
  const ends = fc.constantFrom('\n', '\n', '\r\n', '\r')
  return {
    name: 'event-streams',
    input: fc.record({
      lines: fc.array(fc.tuple(line, ends), { maxLength: 30 }),
      cuts: fc.array(fc.nat(200), { maxLength: 10 }),
    }),
    async check({ lines, cuts }) {
      // A CR at the end may be the first half of a line break.
      const bytes = Buffer.from(`${lines.map((pair) => pair.join('')).join('')}\n`)
      const ours: { event: string; data: string }[] = []
      const decoder = new EventDecoder()
      const places = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)), bytes.length].toSorted((a, b) => a - b)
      for (const [i, at] of places.entries())
        for (const { event, data } of decoder.push(bytes.subarray(at, places[i + 1] ?? bytes.length)))
          ours.push({ event, data })
      const theirs: typeof ours = []
      const parser = createParser({ onEvent: ({ event = 'message', data }) => void theirs.push({ event, data }) })
      parser.feed(new TextDecoder().decode(bytes))
      expect(ours).toEqual(theirs)
    },
  }
})
