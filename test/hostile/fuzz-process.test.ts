// The real process against requests and upstream streams of all kinds, by number: no unintended 5xx, no crash, nothing left.

import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import fc from 'fast-check'
import { expect } from 'vitest'
import { listRoutes } from '../../src/http/routes.ts'
import { startGateway } from '../support/gateway.ts'
import { fuzz, readFixtures } from './fuzz.ts'
import { ANTHROPIC_EVENTS, brokenRequest, FAIR, mutated, OPENAI_EVENTS, REQUESTS, withShortWaits } from './mutations.ts'
import { startHostileUpstream, startTarget, type Sample, type Target } from './target.ts'

/** `npm run test:fuzz` sends 100,000 requests and 10,000 upstream streams; `npm test` sends a fiftieth of them. */
const REQUESTS_SENT = Number(process.env.FUZZ_REQUESTS ?? 600)
const STREAMS_SENT = Number(process.env.FUZZ_STREAMS ?? 60)

/** Inputs that run at once. */
const BATCH = 8

const RUNS = {
  requests: Math.ceil(REQUESTS_SENT / BATCH),
  // On a busy machine, a few time out before they reach the upstream.
  streams: Math.ceil((1.02 * STREAMS_SENT) / BATCH),
}

/** Errors that are what was asked for: the mock and the upstream fail on request. */
const INTENDED = /^(upstream_\w+|provider_\w+|stream_too_large)$/

const KEY = 'slk_fuzz'

/** The part of all inputs after which the process counts as warm: until then, code is compiled. */
const WARM = 0.2

/** Heap that may stay, in MB: shapes, caches of bounded size, and code that is optimized late. */
const HEAP_LEFT = 6

interface Fuzzed extends Target {
  /** Lines that report a bug. */
  bugs: string[]
}

/** The upstream is asked once for each request, however it fails. */
const ONCE = `
breaker: { failures: 1000000, cooldownMs: 1 }
models:
  openai: { target: openai/m, retries: 0 }
  anthropic: { target: anthropic/m, retries: 0 }
`

async function startFuzzed(env: Record<string, string> = {}, files: Record<string, string> = {}): Promise<Fuzzed> {
  const bugs: string[] = []
  const target = await startTarget(
    {
      SLUICE_KEYS: `app:${KEY},other:${KEY}-2`,
      TICKET_SECRET: 'fuzz',
      RETENTION_MS: '300',
      RESUME_WINDOW_MS: '100',
      METRICS_TOKEN: 'metrics',
      // Its 503 is intended, and hides others.
      MAX_EVENT_LOOP_DELAY_MS: '0',
      ...env,
    },
    {
      files,
      onLine: (line) => void (/"level":"(error|fatal)"/.test(line) && bugs.push(line)),
    },
  )
  return { ...target, bugs }
}

/** All of a batch have passed, and the process lives. */
async function expectAllPass(target: Fuzzed, checks: readonly Promise<void>[]): Promise<void> {
  const settled = await Promise.allSettled(checks)
  for (const each of settled) if (each.status === 'rejected') throw each.reason
  expect(target.ended).toBeUndefined()
  expect(target.bugs).toEqual([])
}

/** A short run does not wait for the tombstones and the thread that counts tokens, which stay for a minute. */
function counted({ resources }: Sample): Record<string, number> {
  if (REQUESTS_SENT >= 10_000) return resources
  const { Timeout: _, MessagePort: __, ...others } = resources
  return others
}

/** Handles and timers of an idle process, and the heap of a warm one, are there again, once everything has expired. */
async function expectNothingLeft(target: Fuzzed, before: Sample): Promise<void> {
  const start = performance.now()
  let after = before
  await expect
    .poll(
      async () => {
        after = await target.sample()
        return { resources: counted(after), tooMuch: Math.max(0, after.heap - before.heap - HEAP_LEFT) }
      },
      { timeout: 120_000, interval: 1000 },
    )
    .toEqual({ resources: counted(before), tooMuch: 0 })
  expect(after.external - before.external).toBeLessThan(HEAP_LEFT)
  expect(target.bugs).toEqual([])
  expect(target.output()).not.toMatch(/Warning/)
  const figures = (sample: Sample) => `heap ${sample.heap.toFixed(1)} MB, RSS ${sample.rss.toFixed(0)} MB`
  console.log(
    `before: ${figures(before)}; after ${Math.round((performance.now() - start) / 1000)} s: ${figures(after)}; ` +
      `peak RSS ${target.peak().toFixed(0)} MB; ${JSON.stringify(after.resources)}`,
  )
}

const agent = new Agent({ keepAlive: true, maxSockets: BATCH })

interface Sent {
  method: string
  path: string
  headers: Record<string, string>
  body: string | undefined
}

interface Received {
  status: number
  code: string | undefined
  id: string | undefined
  text: string
}

/** Sends a request, and reads its answer to its end, or this long: a mock may stall. Rejects when there is none. */
function send(target: Target, { method, path, headers, body }: Sent, longestMs = 30_000): Promise<Received> {
  return new Promise((resolve, reject) => {
    const sent = request({ port: target.port, host: '127.0.0.1', agent, method, path, headers })
    sent.on('error', reject)
    sent.on('response', (response) => {
      const { 'sluice-error': code, 'sluice-stream-id': id } = response.headers
      let text = ''
      const patience = setTimeout(() => response.destroy(), longestMs)
      const end = () => {
        clearTimeout(patience)
        resolve({ status: response.statusCode ?? 0, code: code?.toString(), id: id?.toString(), text })
      }
      response.setEncoding('utf8').on('data', (chunk: string) => (text.length < 100_000 ? (text += chunk) : undefined))
      response.on('error', () => {}).on('close', end)
    })
    sent.end(body)
  })
}

const word = fc.oneof(
  fc.constantFrom('', '0', '1', '-1', '99999999999999999999', 'native', 'openai-chat', '__proto__', 'constructor'),
  fc.string({ maxLength: 12 }),
)

/** Printable Latin-1: Node's client sends no other. */
const headerValue = word.map((text) => text.replaceAll(/[^\x20-\x7e\xa0-\xff]/g, '?'))

const CREDENTIALS: Record<string, string>[] = [
  {},
  { authorization: `Bearer ${KEY}` },
  { 'x-api-key': KEY },
  { authorization: `Bearer ${KEY}`, 'sluice-user': 'ann' },
  { authorization: `Bearer ${KEY}-2` },
  { authorization: 'Bearer metrics' },
  { authorization: 'Bearer wrong' },
  { authorization: 'Bearer a.b.c', 'sluice-ticket': 'r1.x' },
]

const HEADERS = {
  accept: fc.constantFrom('text/event-stream', 'application/json', '*/*', 'a', ''),
  'content-type': fc.oneof(
    { weight: 9, arbitrary: fc.constant('application/json') },
    { weight: 1, arbitrary: fc.constantFrom('text/plain', 'multipart/form-data; boundary=b', '') },
  ),
  'content-encoding': fc.oneof({ weight: 9, arbitrary: fc.constant('') }, fc.constantFrom('gzip', 'br', 'x')),
  prefer: fc.constantFrom('', '', 'respond-async'),
  'idempotency-key': fc.oneof(fc.constant(''), fc.constantFrom('a', 'b'), headerValue),
  'last-event-id': fc.oneof(fc.constant(''), headerValue),
  'x-request-id': headerValue,
  'sluice-user': fc.oneof({ weight: 5, arbitrary: fc.constant('') }, headerValue),
  'sluice-ticket': fc.oneof({ weight: 5, arbitrary: fc.constant('') }, headerValue),
  traceparent: headerValue,
  origin: fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom('', 'http://localhost') },
    { weight: 1, arbitrary: fc.constantFrom('https://evil.example', 'null') },
  ),
  'anthropic-version': fc.constantFrom('', '2023-06-01'),
}

const QUERY = ['protocol', 'last_event_id', 'lastEventId', 'startIndex', 'starting_after', 'stream', 'ticket', 'limit']

/** Every route, and its method or another. */
async function anyRequest() {
  const gateway = await startGateway({ playground: true })
  const routes = listRoutes(gateway.services).map(({ method, path }) => ({ method: method.toUpperCase(), path }))
  await gateway.drain()
  const method = fc.constantFrom('GET', 'POST', 'DELETE', 'HEAD', 'OPTIONS', 'PUT', 'PATCH')
  const corpus = readFixtures('corpus') as { path: string; body: unknown }[]
  const valid = [...REQUESTS, ...corpus.map(({ body }) => body)]
  const target = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...routes) },
    // Where the corpus and the bodies belong.
    { weight: 4, arbitrary: fc.constantFrom(...corpus).map(({ path }) => ({ method: 'POST', path })) },
    {
      weight: 1,
      arbitrary: fc.record({ method, path: fc.constantFrom(...routes.map(({ path }) => path), '/', '//x') }),
    },
  )
  const json = fc
    .oneof(...valid.map(mutated), fc.constantFrom(...valid))
    .map((body) => JSON.stringify(withShortWaits(body)))
  const body = fc.oneof(
    { weight: 8, arbitrary: json },
    { weight: 1, arbitrary: fc.tuple(json, fc.nat(400), word).map(([text, at, put]) => text.slice(0, at) + put) },
    { weight: 1, arbitrary: fc.constantFrom('', '[', 'null', '"a"', '{"messages":[', '--b\r\n', '\0') },
  )
  const parameter = fc.tuple(fc.constantFrom(...QUERY), word)
  return fc.oneof(
    {
      weight: 20,
      arbitrary: fc.record({
        target,
        /** The stream in the path: one that was there, or any name. */
        name: fc.oneof(fc.nat(20), word),
        credentials: fc.oneof(
          { weight: 2, arbitrary: fc.constant(CREDENTIALS[1] ?? {}) },
          fc.constantFrom(...CREDENTIALS),
        ),
        headers: fc.record(HEADERS, { requiredKeys: ['accept', 'content-type'] }),
        query: fc.array(parameter, { maxLength: 2 }),
        body,
      }),
    },
    { weight: 1, arbitrary: brokenRequest.map((bytes) => ({ bytes })) },
  )
}

fuzz('the process answers requests of all kinds, and has nothing left of them', { runs: RUNS.requests }, async () => {
  const target = await startFuzzed()
  /** Ids of the last streams. */
  const ids: string[] = []
  const input = await anyRequest()
  type Input = typeof input extends fc.Arbitrary<infer T> ? T : never
  const counts = new Map<number, number>()
  let batches = 0
  let before = await target.sample()

  async function checkOne(one: Input): Promise<void> {
    if ('bytes' in one) {
      const socket = connect(target.port, '127.0.0.1')
      socket.on('error', () => {}).resume()
      socket.end(Buffer.from(one.bytes, 'latin1'))
      const patience = setTimeout(() => socket.destroy(), 20)
      await once(socket, 'close')
      clearTimeout(patience)
      return
    }
    const { target: to, name, credentials, headers, query, body } = one
    const id = typeof name === 'number' ? (ids[name] ?? 'str_x') : encodeURIComponent(name.replaceAll(/\p{Cs}/gu, ''))
    const search = new URLSearchParams(query.map(([key, value]): [string, string] => [key, value])).toString()
    const path = to.path
      .replace(/responses\/:id/, `responses/${id.replace('str_', 'resp_')}`)
      .replace(/:(id|name|file)|\{\*id\}/, id)
    const given = Object.fromEntries(Object.entries({ ...headers, ...credentials }).filter(([, value]) => value !== ''))
    const hasBody = !['GET', 'HEAD'].includes(to.method)
    const sent = {
      method: to.method,
      path: search === '' ? path : `${path}?${search}`,
      headers: { ...given, ...(hasBody && { 'content-length': String(Buffer.byteLength(body)) }) },
      body: hasBody ? body : undefined,
    }
    const { status, code, id: created } = await send(target, sent, 50)
    counts.set(status, (counts.get(status) ?? 0) + 1)
    if (created !== undefined) ids.unshift(created)
    ids.length = Math.min(ids.length, 20)
    if (status >= 500) expect(code, JSON.stringify({ status, ...sent })).toMatch(INTENDED)
    else expect([...FAIR, 201, 401, 429], JSON.stringify(sent)).toContain(status)
  }

  return {
    name: 'requests',
    input: fc.array(input, { minLength: BATCH, maxLength: BATCH }),
    async check(batch) {
      if (batches++ === Math.ceil(WARM * RUNS.requests))
        before = { ...(await target.sample()), resources: before.resources }
      await expectAllPass(target, batch.map(checkOne))
    },
    async finish() {
      agent.destroy()
      const all = [...counts].toSorted(([a], [b]) => a - b)
      console.log(
        `${all.reduce((sum, [, n]) => sum + n, 0)} answers: ${all.map(([status, n]) => `${status} × ${n}`).join(', ')}`,
      )
      // A fuzzer that is only refused tests little.
      for (const status of [200, 204, 400, 401, 404]) expect(counts.get(status), String(status)).toBeGreaterThan(0)
      await expectNothingLeft(target, before)
    },
  }
})

const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n'

/** Bytes of an answer: events that are nearly right, in an HTTP response that is nearly right. */
function anyAnswer(events: unknown[]): fc.Arbitrary<string> {
  const text = fc
    .array(fc.oneof(...events.map(mutated)), { maxLength: 8 })
    .map((all) => all.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(''))
  const end = fc.constantFrom('data: [DONE]\n\n', 'data: [DONE]\n\n', '', 'data: {"cho', 'event: error\ndata: {}\n\n')
  const head = fc.oneof(
    { weight: 6, arbitrary: fc.constant(HEAD) },
    {
      weight: 2,
      arbitrary: fc.constantFrom(
        HEAD.replace('200 OK', '429 No'),
        HEAD.replace('200 OK', '999 X'),
        HEAD.replace('200 OK', '204 None'),
        HEAD.replace('text/event-stream', 'application/json'),
        HEAD.replace('connection', 'content-encoding: gzip\r\nconnection'),
        HEAD.replace('connection', 'transfer-encoding: chunked\r\nconnection'),
        HEAD.replace('connection', 'content-length: 10\r\nconnection'),
      ),
    },
  )
  const edit = fc.record({
    at: fc.nat(600),
    remove: fc.nat(6),
    put: fc.oneof(word, fc.constantFrom('\r\n', '\n\n', '\0')),
  })
  const bytes = fc.tuple(head, text, end).map((parts) => parts.join(''))
  return fc.tuple(bytes, fc.array(edit, { maxLength: 2 })).map(([all, edits]) => {
    let changed = all
    for (const { at, remove, put } of edits) changed = changed.slice(0, at) + put + changed.slice(at + remove)
    return changed
  })
}

const READERS: [path: string, body: object][] = [
  ['/v1/chat', {}],
  ['/v1/chat', { stream: true }],
  ['/v1/chat/completions', {}],
  ['/v1/chat/completions', { stream: true }],
  ['/v1/messages', { max_tokens: 10 }],
  ['/v1/messages', { max_tokens: 10, stream: true }],
  ['/v1/responses', {}],
  ['/v1/responses', { stream: true }],
]

fuzz('the process brings streams of a hostile upstream to one end', { runs: RUNS.streams }, async () => {
  const answers = new Map<string, string>()
  let streams = 0
  const port = await startHostileUpstream((socket, received) => {
    const [, name = ''] = /"(stream-\d+)"/.exec(received) ?? []
    streams += 1
    socket.end(Buffer.from(answers.get(name) ?? ''))
  })
  const target = await startFuzzed(
    {
      OPENAI_API_KEY: 'x',
      ANTHROPIC_API_KEY: 'x',
      OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1`,
      ANTHROPIC_BASE_URL: `http://127.0.0.1:${port}`,
      // An answer may be cut short of its end without the connection ending.
      IDLE_TIMEOUT_MS: '500',
      FIRST_TOKEN_TIMEOUT_MS: '500',
    },
    { 'sluice.yaml': ONCE },
  )
  const input = fc.record({
    stream: fc.oneof(
      fc.record({ provider: fc.constant('openai'), answer: anyAnswer(OPENAI_EVENTS) }),
      fc.record({ provider: fc.constant('anthropic'), answer: anyAnswer(ANTHROPIC_EVENTS) }),
    ),
    reader: fc.constantFrom(...READERS),
    later: fc.constantFrom('native', 'openai-chat', 'anthropic-messages', 'openai-responses', 'ui-messages'),
  })
  let position = 0
  let batches = 0
  let before = await target.sample()
  const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }

  async function checkOne({
    stream,
    reader: [path, fields],
    later,
  }: typeof input extends fc.Arbitrary<infer T> ? T : never) {
    const name = `stream-${position++}`
    answers.set(name, stream.answer)
    const said = path === '/v1/responses' ? { input: name } : { messages: [{ role: 'user', content: name }] }
    const body = { model: stream.provider, ...said, ...fields }
    const { status, code, id, text } = await send(target, {
      method: 'POST',
      path,
      headers,
      body: JSON.stringify(body),
    })
    if (status >= 500 && status < 600) expect(code, path).toMatch(INTENDED)
    expect(status).toBeLessThan(600)
    if (path === '/v1/chat' && status === 200) expect(text.match(/^event: done$/gm)).toHaveLength(1)
    if (id !== undefined)
      for (const query of [`?protocol=${later}`, '']) {
        const accept = query === '' ? 'application/json' : 'text/event-stream'
        const read = await send(target, {
          method: 'GET',
          path: `/v1/streams/${id}${query}`,
          headers: { ...headers, accept },
          body: undefined,
        })
        // At OpenAI, a response that has expired is one that is not there.
        expect([200, 204, later === 'openai-responses' ? 404 : 410, 410], path).toContain(read.status)
      }
    answers.delete(name)
  }

  return {
    name: 'upstream-streams',
    input: fc.array(input, { minLength: BATCH, maxLength: BATCH }),
    async check(batch) {
      if (batches++ === Math.ceil(WARM * RUNS.streams))
        before = { ...(await target.sample()), resources: before.resources }
      await expectAllPass(target, batch.map(checkOne))
    },
    async finish() {
      agent.destroy()
      console.log(`${streams} streams of the upstream`)
      expect(streams).toBeGreaterThanOrEqual(STREAMS_SENT)
      await expectNothingLeft(target, before)
    },
  }
})
