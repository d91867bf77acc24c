import { createGzip, gzipSync } from 'node:zlib'
import type { Socket } from 'node:net'
import { expect } from 'vitest'
import type { Attack, Scale } from './attack.ts'
import { ask, flood, type Target } from './target.ts'

const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n'
const event = (data: unknown) => `data: ${JSON.stringify(data)}\n\n`
const delta = (fields: object, choice: object = {}) => event({ choices: [{ index: 0, delta: fields, ...choice }] })
const END = `${delta({}, { finish_reason: 'stop' })}data: [DONE]\n\n`
const START = event({
  type: 'message_start',
  message: { id: 'm', type: 'message', role: 'assistant', model: 'm', content: [], usage: { input_tokens: 1 } },
})
const block = (index: number, content_block: object) => event({ type: 'content_block_start', index, content_block })
const STOP =
  event({ type: 'content_block_stop', index: 0 }) +
  event({ type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 1 } }) +
  event({ type: 'message_stop' })

/** Finished streams are kept for long enough to be read again, and not to fill the gateway for other attacks. */
const TIMES = { RETENTION_MS: '5000', FIRST_TOKEN_TIMEOUT_MS: '8000', IDLE_TIMEOUT_MS: '8000' }

const repeat = (count: number, make: (i: number) => string) => Array.from({ length: count }, (_, i) => make(i)).join('')

/** Sends a complete body. */
const says = (text: string) => (socket: Socket) => void socket.end(`${HEAD}\r\n${text}`)

/** Repeats the same bytes until the gateway disconnects. */
function endless(head: string, make: () => string | Buffer) {
  return (socket: Socket, scale: Scale) => {
    socket.write(head)
    void flood(socket, make, { ms: scale === 'full' ? 20_000 : 5000, bytes: 3e9 }).then(() => socket.destroy())
  }
}

const ASK: Record<string, { path: string; body: object; headers?: Record<string, string> }> = {
  native: { path: '/v1/chat', body: { model: 'openai/m' } },
  'native, whole': { path: '/v1/chat', body: { model: 'openai/m' }, headers: { accept: 'application/json' } },
  'openai-chat': { path: '/v1/chat/completions', body: { model: 'openai/m', stream: true } },
  'openai-chat, whole': { path: '/v1/chat/completions', body: { model: 'openai/m' } },
  'anthropic-messages': { path: '/v1/messages', body: { model: 'openai/m', max_tokens: 10, stream: true } },
  'anthropic-messages, whole': { path: '/v1/messages', body: { model: 'openai/m', max_tokens: 10 } },
}

/** Reads such an answer in every protocol, and then its snapshot. */
async function readInAllWays(target: Target, model: string): Promise<void> {
  for (const { path, body, headers } of Object.values(ASK)) {
    const messages = [{ role: 'user', content: 'hi' }]
    const answer = await ask(target, path, { body: { ...body, model, messages }, ...(headers && { headers }) })
    const id = answer.headers['sluice-stream-id']
    if (typeof id !== 'string') continue
    expect((await ask(target, `/v1/streams/${id}`, { headers: { accept: 'application/json' } })).status).toBe(200)
  }
}

/** Answers that are expensive to add up. */
const ANSWERS: Record<string, (n: number) => string> = {
  'a choice with a huge index': (n) => event({ choices: [{ index: n * 1000, delta: { content: 'a' } }] }) + END,
  'many choices': (n) => repeat(n, (index) => event({ choices: [{ index, delta: { content: 'a' } }] })) + END,
  'many tool calls in a chunk': (n) =>
    delta({ tool_calls: Array.from({ length: n }, (_, i) => ({ id: `c${i}`, function: { name: 'f' } })) }) + END,
  'many tool calls in turn': (n) =>
    repeat(n, (index) =>
      delta({ tool_calls: [{ index, id: `c${index}`, function: { name: 'f', arguments: '{}' } }] }),
    ) + END,
  'tool calls that are mixed': (n) =>
    [
      ...Array.from({ length: 1000 }, (_, index) => ({
        index,
        id: `c${index}`,
        function: { name: 'f', arguments: '' },
      })),
      ...Array.from({ length: n }, () => ({ index: 999, function: { arguments: ' ' } })),
      ...Array.from({ length: 1000 }, (_, index) => ({ index, function: { arguments: '{}' } })),
    ]
      .map((call) => delta({ tool_calls: [call] }))
      .join('') + END,
  'a call that hinders all else': (n) =>
    delta({ tool_calls: [{ index: 0, id: 'c', function: { name: 'f', arguments: '{' } }] }) +
    repeat(n, () => delta({ content: 'x'.repeat(200) })) +
    END,
  'citations of all that was said': (n) => {
    const url_citation = { url: 'x', start_index: 0, end_index: 16_000 }
    return repeat(n, () => delta({ content: 'a', annotations: [{ type: 'url_citation', url_citation }] })) + END
  },
  'a new name in each delta': (n) => repeat(n, (i) => delta({ content: 'a', [`k${i}`]: 1 })) + END,
  'a new name in an object': (n) => repeat(n, (i) => delta({ content: 'a', x: { [`k${i}`]: 1 } })) + END,
  'a new name in each chunk': (n) => repeat(n, (i) => event({ [`k${i}`]: i, choices: [] })) + END,
  'lists that grow': (n) => repeat(n, () => delta({ content: 'a' }, { logprobs: { content: [{ token: 'a' }] } })) + END,
  'annotations that grow': (n) => repeat(n, (i) => delta({ content: 'a', annotations: [{ i }] })) + END,
  'refusals and reasoning in turn': (n) => repeat(n, (i) => delta(i % 2 ? { refusal: 'a' } : { reasoning: 'b' })) + END,
  'deep JSON': (n) => `data: {"choices":[{"index":0,"delta":{"x":${'['.repeat(n)}${']'.repeat(n)}}}]}\n\n${END}`,
  'dense JSON': (n) => `data: {"choices":[],"x":[${'[],'.repeat(n * 20)}1]}\n\n${END}`,
  'names of a prototype': () =>
    repeat(
      20,
      (i) =>
        `data: {"__proto__":{"a":${i}},"choices":[{"index":0,"delta":{"__proto__":{"b":1},"constructor":{"c":1},"content":"a"}}]}\n\n`,
    ) + END,
  'a huge error': (n) => event({ error: { message: 'x'.repeat(n * 300), code: 'constructor' } }),
}

const ANTHROPIC_ANSWERS: Record<string, (n: number) => string> = {
  'usage that grows': (n) =>
    START +
    block(0, { type: 'text', text: 'a' }) +
    event({ type: 'message_delta', usage: Object.fromEntries(Array.from({ length: n }, (_, i) => [`k${i}`, 1])) }) +
    repeat(1000, () => event({ type: 'message_delta', usage: {} })) +
    STOP,
  'citations that grow': (n) =>
    START +
    block(0, { type: 'text', text: '' }) +
    repeat(n, (i) =>
      event({ type: 'content_block_delta', index: 0, delta: { type: 'citations_delta', citation: { i } } }),
    ) +
    STOP,
  'a tool input of many small values': (n) =>
    START +
    block(0, { type: 'tool_use', id: 't', name: 'f', input: {} }) +
    repeat(20, () =>
      event({
        type: 'content_block_delta',
        index: 0,
        delta: { type: 'input_json_delta', partial_json: '[],'.repeat(n) },
      }),
    ) +
    STOP,
  'a tool input that is nested deeply': (n) =>
    START +
    block(0, { type: 'tool_use', id: 't', name: 'f', input: {} }) +
    repeat(2, (i) =>
      event({
        type: 'content_block_delta',
        index: 0,
        delta: { type: 'input_json_delta', partial_json: '[]'.charAt(i).repeat(n) },
      }),
    ) +
    STOP,
  'many blocks': (n) =>
    START +
    repeat(
      n,
      (i) =>
        block(i, { type: 'tool_use', id: `t${i}`, name: 'f', input: {} }) +
        event({ type: 'content_block_stop', index: i }),
    ) +
    STOP,
  'blocks that are never closed': (n) =>
    START +
    repeat(n, (i) => block(i % 1000, { type: 'text', text: '' })) +
    repeat(n, (i) =>
      event({ type: 'content_block_delta', index: i % 1000, delta: { type: 'text_delta', text: 'x' } }),
    ) +
    STOP,
  'a stop reason that is a name of a prototype': () =>
    START +
    event({ type: 'message_delta', delta: { stop_reason: 'constructor' }, usage: {} }) +
    event({ type: 'message_stop' }),
  'many deltas of the end': (n) =>
    START + repeat(n, (i) => event({ type: 'message_delta', delta: { [`k${i}`]: 1 }, [`b${i}`]: 2 })) + STOP,
}

function answers(provider: 'openai' | 'anthropic', all: Record<string, (n: number) => string>): Attack[] {
  return Object.entries(all).map(([name, make]) => ({
    name: `${provider} answers with ${name}`,
    env: TIMES,
    memory: 300,
    upstream: (socket, scale) => says(make(scale === 'full' ? 40_000 : 10_000))(socket),
    run: (target) => readInAllWays(target, `${provider}/m`),
  }))
}

/** Endless answers without a token. */
const ENDLESS: Record<string, (socket: Socket, scale: Scale) => void> = {
  comments: endless(`${HEAD}\r\n`, () => ':\n'.repeat(10_000)),
  'empty events': endless(`${HEAD}\r\n`, () => 'data:\n\n'.repeat(5000)),
  'empty deltas': endless(`${HEAD}\r\n`, () => delta({}).repeat(500)),
  'ever new choices': (() => {
    let index = 0
    return endless(`${HEAD}\r\n`, () => event({ choices: Array.from({ length: 2000 }, () => ({ index: index++ })) }))
  })(),
  'lines of one event': endless(`${HEAD}\r\n`, () => 'data:\n'.repeat(10_000)),
  'one line': endless(`${HEAD}\r\ndata: `, () => 'x'.repeat(100_000)),
  headers: endless('HTTP/1.1 200 OK\r\n', () => 'x-header: y\r\n'.repeat(1000)),
  'interim responses': endless('', () => 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(1000)),
  'large deltas without a token': (() => {
    let name = 0
    return endless(`${HEAD}\r\n`, () => event({ [`x${name++}`]: 'h'.repeat(4_000_000) }))
  })(),
  'one-byte chunks with extensions': endless(`${HEAD}transfer-encoding: chunked\r\n\r\n`, () =>
    `1;${'e'.repeat(3000)}\r\n:\r\n`.repeat(20),
  ),
  'compressed comments': endlessGzip(() => ':\n'.repeat(500_000)),
  'compressed events without data': endlessGzip(() => 'data: \n\n'.repeat(120_000)),
  'compressed zeros': endlessGzip(() => '\0'.repeat(1_000_000)),
  'compressed empty deltas': endlessGzip(() => delta({}).repeat(10_000)),
}

function endlessGzip(make: () => string) {
  const member = gzipSync(make(), { level: 9 })
  return endless(`${HEAD}content-encoding: gzip\r\n\r\n`, () => member)
}

const once =
  (model = 'openai/m') =>
  async (target: Target) => {
    const body = { model, messages: [{ role: 'user', content: 'hi' }] }
    const answer = await ask(target, '/v1/chat', { body })
    expect(answer.body).toMatch(/event: done\ndata: .*"error"/)
  }

const LISTED: Record<string, (socket: Socket, scale: Scale) => void> = {
  'without end': endlessGzip(() => '{"id":"m"},'.repeat(100_000)),
  'in great number': says(`{"data":[${repeat(30_000, (i) => `{"id":"${'m'.repeat(70)}${i % 2}${i}"},`)}{"id":"m"}]}`),
  'with huge names': says(`{"data":[${repeat(30, (i) => `{"id":"${'m'.repeat(100_000)}${i}"},`)}{"id":"m"}]}`),
}

/** The list is asked for, and then compared with unknown names. */
async function listModels(target: Target): Promise<void> {
  expect((await ask(target, '/v1/models')).status).toBe(200)
  for (let i = 0; i < 20; i++) {
    const body = { model: `${'m'.repeat(70)}x${i}`, messages: [{ role: 'user', content: 'hi' }] }
    expect((await ask(target, '/v1/chat', { body })).body).toContain('unknown_model')
  }
  expect((await ask(target, '/v1/models')).status).toBe(200)
}

export const ATTACKS_BY_UPSTREAMS: Attack[] = [
  ...Object.entries(LISTED).map(([name, upstream]) => ({
    name: `an upstream lists models ${name}`,
    spoils: true as const,
    memory: 100,
    upstream,
    run: listModels,
  })),
  ...answers('openai', ANSWERS),
  ...answers('anthropic', ANTHROPIC_ANSWERS),
  ...Object.entries(ENDLESS).map(([name, upstream]) => ({
    name: `an upstream sends ${name} for ever`,
    env: TIMES,
    memory: 250,
    upstream,
    run: once(),
  })),
  {
    name: 'an upstream names thousands of codings',
    env: TIMES,
    memory: 100,
    upstream: (socket) => void socket.end(`${HEAD}content-encoding: ${'gzip,'.repeat(5000)}gzip\r\n\r\n`),
    run: once(),
  },
  {
    name: 'an upstream sends a compressed error page without end',
    env: TIMES,
    memory: 200,
    upstream(socket) {
      socket.write('HTTP/1.1 500 Oops\r\ncontent-type: text/html\r\ncontent-encoding: gzip\r\n\r\n')
      const gzip = createGzip()
      gzip.pipe(socket)
      void flood(gzip as unknown as Socket, () => 'x'.repeat(1_000_000), { ms: 4000, bytes: 5e8 })
    },
    run: once(),
  },
]
