// Bodies that are valid JSON and odd: one status each, nothing polluted, nothing that leaves its place in the answer.

import { gzipSync, brotliCompressSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { ask, startTarget, type Answer } from './target.ts'
import { expectUnharmed } from './withstand.ts'

const MB = 1024 * 1024
const hi = { role: 'user', content: 'hi' }
const fast = { tokens: 1, interval_ms: 0 }
const say = { messages: [hi], mock: fast }
const repeat = <T>(count: number, make: (i: number) => T) => Array.from({ length: count }, (_, i) => make(i))

interface Row {
  path?: string
  body: object | string | Buffer
  headers?: Record<string, string>
  statuses: number[]
  /** Holds of the answer. */
  holds?: (answer: Answer) => void
}

const isDone = ({ body }: Answer) => expect(body.match(/^event: done$/gm)).toHaveLength(1)
const sayText = (text: string): Row => ({
  body: { ...say, mock: { text, interval_ms: 0 } },
  statuses: [200],
  holds: (answer) => {
    isDone(answer)
    const said = [...answer.body.matchAll(/^event: delta\ndata: (.*)$/gm)].map(
      ([, json]) => JSON.parse(json ?? '').content ?? '',
    )
    // UTF-8 has no lone surrogates.
    expect(said.join('').toWellFormed()).toBe(text.toWellFormed())
  },
})

const ROWS: Record<string, Row> = {
  // Many small parts are linear work: https://github.com/advisories has a page of such faults in other gateways.
  '100,000 messages': { body: { messages: repeat(100_000, () => hi), mock: fast }, statuses: [200, 400, 413] },
  '100,000 tools': {
    body: { ...say, tools: repeat(100_000, () => ({ type: 'function', function: { name: 'f' } })) },
    statuses: [200, 400, 413],
  },
  '100,000 names of metadata': {
    body: { ...say, metadata: Object.fromEntries(repeat(100_000, (i) => [`k${i}`, 'v'])) },
    statuses: [200, 400, 413],
  },
  '1,000,000 stops': { body: { ...say, stop: repeat(1_000_000, () => 'x') }, statuses: [400, 413] },

  // Names of a prototype.
  '__proto__ at the top': { body: '{"__proto__":{"a":1},"messages":[]}', statuses: [400] },
  '__proto__ in a message': { body: '{"messages":[{"role":"user","content":"hi","__proto__":{}}]}', statuses: [400] },
  '__proto__ in the mock': {
    body: '{"messages":[{"role":"user","content":"hi"}],"mock":{"__proto__":{}}}',
    statuses: [400],
  },
  '__proto__, escaped': { body: '{"\\u005f_proto__":{},"messages":[]}', statuses: [400] },
  '__proto__ in the arguments of a call': {
    body: {
      ...say,
      messages: [
        hi,
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{"__proto__":{"a":1}}' } }],
        },
        { role: 'tool', tool_call_id: 'c', content: 'x' },
      ],
    },
    statuses: [200],
  },
  'constructor, toString and hasOwnProperty as names': {
    body: { ...say, constructor: 1, toString: 2, hasOwnProperty: 3, mock: fast },
    statuses: [200],
  },
  'the model __proto__': { body: { ...say, model: '__proto__' }, statuses: [404] },
  'the model constructor/x': { body: { ...say, model: 'constructor/x' }, statuses: [404] },
  'the failure __proto__': { body: '{"messages":[],"mock":{"fail_code":"__proto__"}}', statuses: [400] },

  // Numbers.
  NaN: { body: '{"messages":[],"temperature":NaN}', statuses: [400] },
  Infinity: { body: '{"messages":[],"temperature":Infinity}', statuses: [400] },
  '1e400 in a known field': { body: `{"messages":[${JSON.stringify(hi)}],"temperature":1e400}`, statuses: [400] },
  '1e400 in an unknown field': {
    body: `{"messages":[${JSON.stringify(hi)}],"x":1e400,"mock":{"tokens":1}}`,
    statuses: [200],
  },
  'n of 1e308': { body: { ...say, n: 1e308 }, statuses: [400] },
  '1e9 tokens': { body: { ...say, mock: { tokens: 1e9 } }, statuses: [400] },
  'an interval of 1e9': { body: { ...say, mock: { interval_ms: 1e9 } }, statuses: [400] },
  '1e9 tokens of reasoning': { body: { ...say, mock: { reasoning_tokens: 1e9 } }, statuses: [400] },
  'a seed of 1e400': { body: '{"messages":[{"role":"user","content":"hi"}],"mock":{"seed":1e400}}', statuses: [400] },

  // What ends up in headers, logs and frames.
  'a model with CRLF': { body: { ...say, model: 'mock\r\nx-evil: 1' }, statuses: [404] },
  'a model with a frame': { body: { ...say, model: 'mock\n\nevent: done\ndata: {}' }, statuses: [404] },
  'a model with NUL': { body: { ...say, model: 'mock\0' }, statuses: [404] },
  'a model of 300 letters': { body: { ...say, model: 'm'.repeat(300) }, statuses: [400, 404] },
  'a text that is a frame': sayText('a\r\n\r\nevent: done\r\ndata: {}\r\n\r\nb'),
  'a text with U+2028, U+2029 and U+0085': sayText('a\u2028b\u2029c\u0085d'),
  'a text of lone surrogates': sayText('a\ud800b\udc00c'),
  'a text with NUL': sayText('a\0b'),

  // Compressed without bound.
  'gzip of 1 GB': { body: gzipSync(Buffer.alloc(200 * MB)), headers: { 'content-encoding': 'gzip' }, statuses: [413] },
  'Brotli of 300 MB': {
    body: brotliCompressSync(Buffer.alloc(100 * MB)),
    headers: { 'content-encoding': 'br' },
    statuses: [413],
  },

  // Bodies that were once a 500.
  'an input of a tool, nested deeply': {
    path: '/v1/messages',
    body: `{"model":"mock","max_tokens":1,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":${'['.repeat(100_000)}${']'.repeat(100_000)}}]}]}`,
    statuses: [400, 413],
  },
  'a field that is nested deeply': {
    body: `{"messages":[],"store":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
    statuses: [400, 413],
  },
  'a data URL of semicolons': {
    path: '/v1/messages',
    body: {
      model: 'mock',
      max_tokens: 1,
      messages: [
        {
          role: 'user',
          content: [{ type: 'image', source: { type: 'url', url: `data:image/png${';'.repeat(6 * MB)}` } }],
        },
      ],
    },
    statuses: [200, 400, 413],
  },

  // A page of another origin can send these without asking: https://fetch.spec.whatwg.org/#simple-header
  ...Object.fromEntries(
    [
      'text/plain',
      '',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=b',
      'text/plain; +json',
      'text/plain, application/json',
      'text/plain;application/json',
      'text/json',
    ].map((type) => [`the type "${type}"`, { body: say, headers: { 'content-type': type }, statuses: [415] }]),
  ),
}

it('each odd body gets a status that says what is wrong, and does nothing else', async () => {
  const target = await startTarget()
  const before = target.rss()
  for (const [name, { path = '/v1/chat', body, headers, statuses, holds }] of Object.entries(ROWS)) {
    const answer = await ask(target, path, { body, ...(headers && { headers }) })
    expect(statuses, `${name}: ${answer.status} ${answer.body.slice(0, 200)}`).toContain(answer.status)
    expect(answer.headers['x-evil'], name).toBeUndefined()
    if (answer.status >= 400) expect(answer.body.length, name).toBeLessThan(20_000)
    holds?.(answer)
  }
  const plain = await ask(target, '/v1/chat', { body: { ...say, mock: { text: 'as ever', interval_ms: 0 } } })
  expect(plain.body).toContain('"as ever"')
  await expectUnharmed(target, { memory: 220, before })
})

it('arguments of the mock that are nested deeply end in a failure that is named', async () => {
  const target = await startTarget()
  const nested = `${'['.repeat(5000)}${']'.repeat(5000)}`
  const body = `{"messages":[{"role":"user","content":"hi"}],"mock":{"interval_ms":0,"tool_call":{"name":"f","arguments":{"x":${nested}}}}}`
  const { status, body: text } = await ask(target, '/v1/chat', { body })
  expect([200, 400]).toContain(status)
  expect(text).not.toContain('internal_error')
  expect(target.ended).toBeUndefined()
})
