import OpenAI from 'openai'
import { expect, it } from 'vitest'
import { collect } from '../support/both-ways.ts'
import { startGateway } from '../support/gateway.ts'

const body = {
  model: 'mock',
  messages: [{ role: 'user' as const, content: 'hi' }],
  mock: { text: 'a b c d', interval_ms: 0 },
}

const textOf = (chunks: OpenAI.ChatCompletionChunk[]) =>
  chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')

// The package sends `Accept: application/json` with streams, too.
it('the package reads a stream again at the address that it was given, from a cursor on', async () => {
  const { url } = await startGateway()
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'key', maxRetries: 0 })
  const { data, response } = await openai.chat.completions.create({ ...body, stream: true }).withResponse()
  expect(textOf(await collect(data))).toBe('a b c d')

  const path = String(response.headers.get('content-location')).replace('/v1', '')
  const rest = await openai.get(path, { stream: true, headers: { 'Last-Event-ID': '2' } })
  expect(textOf(await collect(rest as AsyncIterable<OpenAI.ChatCompletionChunk>))).toBe(' c d')
})

it('the package goes on with the same request, its key and a cursor', async () => {
  const { url } = await startGateway()
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'key', maxRetries: 0 })
  const create = (cursor: string) => {
    const headers = { 'Idempotency-Key': 'k', 'Last-Event-ID': cursor }
    return openai.chat.completions.create({ ...body, stream: true }, { headers })
  }
  expect(textOf(await collect(await create('')))).toBe('a b c d')
  expect(textOf(await collect(await create('2')))).toBe(' c d')
})
