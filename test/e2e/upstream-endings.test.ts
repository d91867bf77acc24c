import { expect, it } from 'vitest'
import { openai } from '../../providers/openai/openai.ts'
import { startByteServer } from '../support/byte-server.ts'
import { WHOLE } from '../support/faults.ts'
import { startGateway } from '../support/gateway.ts'
import { chat } from '../support/reader.ts'
import { chatChunks, chunk, startUpstream } from '../support/upstream.ts'
import { iterate } from '../support/iterate.ts'

it('an upstream that has said all, and does not end, is left by whoever reads to the end', async () => {
  const upstream = await startUpstream((response) => {
    const whole = chatChunks(chunk({ content: 'a' }), chunk({}, { finish_reason: 'stop' }), '[DONE]')
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(whole)
  })
  const provider = openai({ name: 'openai', baseUrl: upstream.url, headers: {}, includeUsage: true })
  const context = { signal: new AbortController().signal, streamId: 'str_1', options: {}, connectTimeoutMs: 10_000 }
  const events: unknown[] = []
  for await (const some of iterate(provider.stream({ model: 'm', messages: [] }, context)))
    events.push(...[some].flat())
  expect(events.at(-1)).toMatchObject({ type: 'done', finish_reason: 'stop' })
  await (
    await upstream.request(0)
  ).closed
})

it('an upstream that resets every reused connection counts as healthy, and answers each request once', async () => {
  const answer = `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: ${WHOLE.length}\r\n\r\n${WHOLE}`
  const server = await startByteServer(({ socket, requests }) => {
    if (requests.length === 1) socket.write(answer)
    else socket.resetAndDestroy()
  })
  const gateway = await startGateway({
    providers: {
      local: { type: 'openai', baseUrl: `http://127.0.0.1:${server.port}`, headers: {}, includeUsage: true },
    },
  })
  const headers = { accept: 'application/json' }
  // Twice the failures in a row that open a breaker.
  for (let i = 0; i < 10; i++) {
    const reader = await (await chat(gateway.url, { model: 'local/m' }, { headers })).end()
    expect(reader.json).toMatchObject({ finish_reason: 'stop' })
  }
  expect(server.connections.entries).toHaveLength(10)
  expect(JSON.stringify(gateway.logs)).not.toContain('attempt failed')
})
