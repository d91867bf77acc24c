import { expect, it } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { ask, type AskOptions } from '../hostile/target.ts'
import { KEY, withKeys } from '../support/keys.ts'
import { chat } from '../support/reader.ts'

// A query that nobody reads: the request is the same, but its path is no hot route's.
const THROUGH_KOA = '?x=1'
const say = [{ role: 'user', content: 'hi' }]
const mock = { text: 'a b c', interval_ms: 0 }
const long = JSON.stringify({ messages: [{ role: 'user', content: 'é'.repeat(40_000) }], mock })

const REQUESTS: Record<string, AskOptions & { path?: string }> = {
  'a stream': { body: { messages: say, mock } },
  'a whole answer': { body: { messages: say, mock }, headers: { accept: 'application/json' } },
  'a whole answer in slices': {
    body: { messages: say, mock: { text: 'word '.repeat(20_000), interval_ms: 0 } },
    headers: { accept: 'application/json' },
  },
  'a stream in the background': { body: { messages: say, mock }, headers: { prefer: 'respond-async' } },
  'a stream of Chat Completions': {
    path: '/v1/chat/completions',
    body: { model: 'mock', messages: say, mock, stream: true },
  },
  'an answer of Chat Completions': { path: '/v1/chat/completions', body: { model: 'mock', messages: say, mock } },
  'an error of Messages': { path: '/v1/messages', body: { model: 'mock', messages: say } },
  'a failure before the first token': { body: { messages: say, mock: { ...mock, fail_at: 0 } } },
  'an invalid field': { body: { messages: say, temperature: 'warm' } },
  'an unknown model': { body: { messages: say, model: 'nothing/here' } },
  'no JSON': { body: '{"messages":' },
  'a byte order mark': { body: `\ufeff${JSON.stringify({ messages: say, mock })}` },
  'a name that is not allowed': { body: '{"__proto__": {}, "messages": []}' },
  'no body': { body: '' },
  'another type': { body: 'hi', headers: { 'content-type': 'text/plain' } },
  'another charset': {
    body: JSON.stringify({ messages: say, mock }),
    headers: { 'content-type': 'application/json; charset=latin1' },
  },
  'a long body': { body: long },
  'an accepted type that there is not': { body: { messages: say }, headers: { accept: 'image/png' } },
  'a wrong key': { body: { messages: say }, headers: { authorization: 'Bearer wrong' } },
  'another host': { body: { messages: say }, headers: { host: 'evil.example' } },
  'a cursor without a key': { body: { messages: say }, headers: { 'last-event-id': '3' } },
}

/** What differs between two equal requests. */
function normal(text: string): string {
  return text
    .replaceAll(/str_[0-9a-f]{32}/g, 'STREAM')
    .replaceAll(/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/g, 'REQUEST')
    .replaceAll(/ticket=[\w.-]+/g, 'TICKET')
    .replaceAll(/retry: \d+/g, 'RETRY')
    .replaceAll(/created\\":(\\"[^"]+"|\d+)/g, 'CREATED')
    .replaceAll(THROUGH_KOA, '')
}

async function answerTo(url: string, path: string, options: AskOptions) {
  const headers = { authorization: `Bearer ${KEY}`, ...options.headers }
  const {
    status,
    headers: received,
    body,
  } = await ask({ port: Number(new URL(url).port) }, path, { ...options, headers })
  const { date: _, ...others } = received
  return normal(JSON.stringify({ status, headers: others, body }))
}

it.each(Object.entries(REQUESTS))('answers as through Koa: %s', async (_, { path = '/v1/chat', ...options }) => {
  const { url } = await startGateway(withKeys())
  const hot = await answerTo(url, path, options)
  expect(hot).toBe(await answerTo(url, path + THROUGH_KOA, options))
})

it.each([
  {},
  { 'last-event-id': '2' },
  { 'last-event-id': '4' },
  { 'last-event-id': 'x' },
  { accept: 'application/json' },
])('reads a stream as through Koa: %o', async (headers) => {
  const { url } = await startGateway()
  const created = await (await chat(url, { mock })).end()
  const id = String(created.headers['sluice-stream-id'])
  for (const name of [id, 'str_00000000000000000000000000000000', 'x']) {
    const hot = await answerTo(url, `/v1/streams/${name}`, { method: 'GET', headers })
    // The router decodes the name.
    const escaped = name.replace('s', '%73').replace('x', '%78')
    expect(hot).toBe(await answerTo(url, `/v1/streams/${escaped}`, { method: 'GET', headers }))
  }
})

it.each(['http://localhost:5173', 'http://evil.example'])('lets pages in as through Koa: Origin %s', async (origin) => {
  const { url } = await startGateway({ corsOrigin: ['http://localhost:5173'], corsCredentials: true })
  const options = { body: { messages: say, mock }, headers: { origin } }
  const hot = await answerTo(url, '/v1/chat', options)
  expect(hot).toBe(await answerTo(url, `/v1/chat${THROUGH_KOA}`, options))
})
