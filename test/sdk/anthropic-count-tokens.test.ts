import Anthropic from '@anthropic-ai/sdk'
import { describe, expect, it } from 'vitest'
import { bothWays, MODEL, startScene } from '../support/both-ways.ts'
import { startGateway } from '../support/gateway.ts'
import { open } from '../support/reader.ts'
import type { Answer } from '../support/upstream.ts'

const client = (baseURL: string) => new Anthropic({ baseURL, apiKey: 'key', maxRetries: 0 })

const tools: Anthropic.Tool[] = [
  {
    name: 'get_weather',
    description: 'The weather.',
    input_schema: { type: 'object', properties: { city: { type: 'string' } } },
  },
]
const request: Anthropic.MessageCountTokensParams = {
  model: MODEL,
  system: 'Be brief.',
  messages: [
    { role: 'user', content: [{ type: 'text', text: 'What is this?', cache_control: { type: 'ephemeral' } }] },
    { role: 'assistant', content: [{ type: 'tool_use', id: 't1', name: 'get_weather', input: { city: 'Köln' } }] },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 't1', content: 'sunny' }] },
  ],
  tools,
  tool_choice: { type: 'auto' },
  thinking: { type: 'enabled', budget_tokens: 1024 },
}
const counts: Answer = (response) =>
  void response.writeHead(200, { 'content-type': 'application/json' }).end('{"input_tokens":42,"more":{"a":1}}')

describe('a count of tokens', () => {
  it('is the one of an upstream that counts, which is asked the same', async () => {
    const { straight, through } = await bothWays('anthropic', counts, (origin) =>
      client(origin).messages.countTokens(request),
    )
    expect(through.result).toEqual(straight.result)
    expect(through.request.path).toBe('/v1/messages/count_tokens')
    const blocks = (body: Record<string, unknown>) => ({ ...body, system: [{ type: 'text', text: 'Be brief.' }] })
    expect(blocks(through.request.body)).toEqual(blocks(straight.request.body))
    expect(through.request.headers['x-api-key']).toBe('upstream-key')
  })

  it('is asked for with the betas of the client', async () => {
    const { gateway, upstream } = await startScene('anthropic', counts)
    const count = await client(gateway.url).beta.messages.countTokens({
      ...request,
      betas: ['some-beta-2026'],
    })
    expect(count.input_tokens).toBe(42)
    expect(upstream.requests[0]!.headers['anthropic-beta']).toContain('some-beta-2026')
  })

  it('fails as the upstream does', async () => {
    const error = { type: 'invalid_request_error', message: 'messages: no.' }
    const refuses: Answer = (response) =>
      void response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ type: 'error', error }))
    const { straight, through } = await bothWays('anthropic', refuses, (origin) =>
      client(origin).messages.countTokens(request),
    )
    expect(straight.error).toMatchObject({ status: 400, error: { error } })
    expect(through.error).toMatchObject({ status: 400, error: { error } })
  })

  it('is retried', async () => {
    let count = 0
    const { gateway } = await startScene(
      'anthropic',
      (response, asked) => (count++ === 0 ? void response.writeHead(529).end() : counts(response, asked)),
      { models: { [MODEL]: `upstream/${MODEL}` } },
    )
    expect((await client(gateway.url).messages.countTokens(request)).input_tokens).toBe(42)
  })

  it('is estimated for others, and says so', async () => {
    const { url } = await startGateway()
    const ask = client(url).messages.countTokens({ ...request, model: 'mock' })
    const { data, response } = await ask.withResponse()
    expect(response.headers.get('sluice-estimated')).toBe('input_tokens')
    expect(data.input_tokens).toBeGreaterThan(40)
    expect(data.input_tokens).toBeLessThan(100)
    const image = {
      type: 'image' as const,
      source: { type: 'base64' as const, media_type: 'image/png' as const, data: 'A'.repeat(40_000) },
    }
    const one = await client(url).messages.countTokens({
      model: 'mock',
      messages: [{ role: 'user', content: [image] }],
    })
    expect(one.input_tokens).toBeLessThan(2000)
    const short = { model: 'mock', messages: [{ role: 'user' as const, content: 'x'.repeat(4000) }] }
    expect((await client(url).messages.countTokens(short)).input_tokens).toBe(1004)
  })

  it('is refused in the shape of its API', async () => {
    const { url } = await startGateway()
    const reader = await (
      await open(`${url}/messages/count_tokens?beta=true`, { method: 'POST', body: { model: 'mock' } })
    ).end()
    expect(reader.status).toBe(400)
    expect(reader.json).toMatchObject({ type: 'error', error: { type: 'invalid_request_error' } })
  })
})
