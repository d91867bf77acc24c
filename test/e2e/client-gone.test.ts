import { describe, expect, it } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { open } from '../support/reader.ts'
import { chatChunks, chunk, startUpstream } from '../support/upstream.ts'

const messages = [{ role: 'user', content: 'hi' }]

describe.each([
  ['openai-chat, streaming', '/v1/chat/completions', { stream: true }],
  ['openai-chat', '/v1/chat/completions', {}],
  ['anthropic-messages, streaming', '/v1/messages', { stream: true, max_tokens: 9 }],
  ['anthropic-messages', '/v1/messages', { max_tokens: 9 }],
])('a client of %s that goes', (_, path, fields) => {
  it.each([
    ['before the first token', ''],
    ['after it', chatChunks(chunk({ role: 'assistant', content: 'one ' }))],
  ])('%s closes the upstream connection at once', async (__, said) => {
    const upstream = await startUpstream((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
      if (said) response.write(said)
    })
    const gateway = await startGateway({
      // Nothing but the client's going may end the wait.
      sdkStatusWaitMs: 600_000,
      providers: { up: { type: 'openai', baseUrl: upstream.url, headers: {}, includeUsage: true } },
    })
    const gone = new AbortController()
    const asked = fetch(`${gateway.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'up/m', messages, ...fields }),
      signal: gone.signal,
    })
    const request = await upstream.request(0)
    if (said && 'stream' in fields) await (await asked).body?.getReader().read()
    gone.abort()
    await asked.catch(() => {})
    await request.closed
    await expect.poll(() => gateway.services.generations.size).toBe(0)
  })
})

it('a stream of an SDK’s protocol can still be read in its format after its end', async () => {
  const gateway = await startGateway()
  const body = { model: 'mock', stream: true, messages, mock: { tokens: 5, interval_ms: 0 } }
  const first = await (await open(`${gateway.url}/v1/chat/completions`, { method: 'POST', body })).end()
  const headers = { accept: 'text/event-stream;protocol=openai-chat' }
  const again = await (await open(`${gateway.url}/v1/streams/${first.id}`, { headers })).end()
  expect(again.body).toBe(first.body)
})
