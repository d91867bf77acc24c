import { once } from 'node:events'
import { connect } from 'node:net'
import { createParser } from 'eventsource-parser'
import fc from 'fast-check'
import { expect } from 'vitest'
import { EventDecoder } from '../../src/sse/decode.ts'
import { startByteServer } from '../support/byte-server.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { fuzz } from './fuzz.ts'
import { ANTHROPIC_EVENTS, brokenRequest, FAIR, mutated, OPENAI_EVENTS, REQUESTS, withShortWaits } from './mutations.ts'

const PARTS = 4
const PATHS = ['/v1/chat', '/v1/chat/completions', '/v1/messages'] as const

function expectNoBug({ logs }: TestGateway): void {
  expect(logs.filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([])
}

fuzz('answers any JSON with a status that says what is wrong with it', { parts: PARTS }, async () => {
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

fuzz('answers or closes whatever bytes it is sent, and goes on', { parts: PARTS }, async () => {
  const gateway = await startGateway()
  const { hostname, port } = new URL(gateway.url)
  return {
    name: 'framing',
    input: fc.record({ bytes: brokenRequest, again: fc.boolean() }),
    async check({ bytes, again }) {
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

fuzz('brings every stream to one end, whatever an upstream sends', { parts: PARTS }, async () => {
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

fuzz('reads an event stream as a parser that is not ours does, however it is cut', { parts: PARTS }, async () => {
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
