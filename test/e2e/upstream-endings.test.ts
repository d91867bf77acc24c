import { expect, it } from 'vitest'
import { openai } from '../../providers/openai.ts'
import { chatChunks, chunk, startUpstream } from '../support/upstream.ts'

it('an upstream that has said all, and does not end, is left by whoever reads to the end', async () => {
  const upstream = await startUpstream((response) => {
    const whole = chatChunks(chunk({ content: 'a' }), chunk({}, { finish_reason: 'stop' }), '[DONE]')
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(whole)
  })
  const provider = openai({ name: 'openai', baseUrl: upstream.url, headers: {}, includeUsage: true })
  const context = { signal: new AbortController().signal, streamId: 'str_1', options: {} }
  const events: unknown[] = []
  for await (const some of provider.stream({ model: 'm', messages: [] }, context)) events.push(...[some].flat())
  expect(events.at(-1)).toMatchObject({ type: 'done', finish_reason: 'stop' })
  await (
    await upstream.request(0)
  ).closed
})
