import { request } from 'node:http'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { chatChunks, chunk, startUpstream } from '../support/upstream.ts'

// In a file of its own, as the heap is that of the whole process.
setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

const MEGABYTE = 1024 * 1024
const STREAMS = 12
const PROMPT = 'x'.repeat(4 * MEGABYTE)

it.each([
  ['a native stream', '/v1/chat', {}, {}],
  ['a native stream that nobody reads', '/v1/chat', {}, { prefer: 'respond-async' }],
  ['a whole native answer', '/v1/chat', {}, { accept: 'application/json' }],
  ['a stream of openai-chat', '/v1/chat/completions', { stream: true }, {}],
  ['a whole answer of openai-chat', '/v1/chat/completions', {}, {}],
  ['a stream of anthropic-messages', '/v1/messages', { stream: true, max_tokens: 10 }, {}],
  ['a whole answer of anthropic-messages', '/v1/messages', { max_tokens: 10 }, {}],
])('does not keep the large prompt of %s in memory once the upstream answers', async (_, path, fields, headers) => {
  const upstream = await startUpstream((response, received) => {
    received.body = {}
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(chatChunks(chunk({ content: 'so far' })))
  })
  const gateway = await startGateway({
    providers: { local: { type: 'openai', baseUrl: upstream.url, headers: {}, includeUsage: true } },
  })
  const body = Buffer.from(
    JSON.stringify({ model: 'local/m', messages: [{ role: 'user', content: PROMPT }], ...fields }),
  )
  const ask = () => {
    const asked = request(`${gateway.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
    })
    asked.on('error', () => {}).end(body)
  }
  const heapWith = async (streams: number) => {
    const answered = 'sluice_time_to_first_token_seconds_count{provider="local",model="other"}'
    await expect.poll(() => gateway.metric(answered)).toBe(streams)
    collectGarbage()
    return process.memoryUsage().heapUsed
  }
  ask()
  const before = await heapWith(1)
  for (let i = 0; i < STREAMS; i++) ask()
  const grown = (await heapWith(1 + STREAMS)) - before
  expect(grown).toBeLessThan((STREAMS * PROMPT.length) / 4)
})
