import { describe, expect, it } from 'vitest'
import { stream, WHOLE } from '../support/faults.ts'
import { startGateway } from '../support/gateway.ts'
import { open } from '../support/reader.ts'
import { chatChunks, chunk, startUpstream, type Answer } from '../support/upstream.ts'

const messages = [{ role: 'user', content: 'hi' }]

/** A gateway to a server that gives the first answer first, and then the whole one. */
async function gatewayTo(first: Answer) {
  let count = 0
  const upstream = await startUpstream((response, request) =>
    (count++ === 0 ? first : stream(WHOLE))(response, request),
  )
  const gateway = await startGateway({
    providers: { up: { type: 'openai', baseUrl: upstream.url, headers: {}, includeUsage: true } },
  })
  const ask = (path: string, fields = {}, headers = {}) =>
    open(`${gateway.url}${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ model: 'up/m', max_tokens: 9, messages, ...fields }),
    })
  return { upstream, ask }
}

const breaks: Answer = (response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.write(chatChunks(chunk({ role: 'assistant', content: 'lost' })), () => response.destroy())
}

describe('an upstream that breaks off after its first token', () => {
  it.each<[path: string, headers: Record<string, string>]>([
    ['/v1/chat', { accept: 'application/json' }],
    ['/v1/chat/completions', {}],
    ['/v1/messages', {}],
  ])('is asked again for a whole answer: %s', async (path, headers) => {
    const { ask } = await gatewayTo(breaks)
    const reader = await (await ask(path, {}, headers)).end()
    expect([reader.status, reader.headers['sluice-attempts']]).toEqual([200, '2'])
    expect(reader.body).toContain('one two ')
    expect(reader.body).not.toContain('lost')
  })

  it('is not asked again for a stream', async () => {
    const { ask, upstream } = await gatewayTo(breaks)
    const reader = await (await ask('/v1/chat/completions', { stream: true })).end()
    expect(reader.body).toContain('lost')
    expect(reader.body).toContain('upstream_disconnected')
    expect(upstream.requests).toHaveLength(1)
  })

  it('is not asked again when another reader has seen its tokens', async () => {
    let more = () => {}
    const { ask, upstream } = await gatewayTo((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(chatChunks(chunk({ role: 'assistant', content: 'some' })))
      more = () => void response.write(chatChunks(chunk({ content: ' more' })), () => response.destroy())
    })
    const key = { 'idempotency-key': 'k' }
    const whole = ask('/v1/chat', {}, { accept: 'application/json', ...key })
    await upstream.request(0)
    const other = await ask('/v1/chat', {}, key)
    more()
    await other.end()
    expect(other.text).toBe('some more')
    const { json } = await (await whole).end()
    expect(json).toMatchObject({ message: { content: 'some more' }, error: { code: 'upstream_disconnected' } })
    expect(upstream.requests).toHaveLength(1)
  })
})
