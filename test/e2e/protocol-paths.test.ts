import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { open, type Reader } from '../support/reader.ts'

const ANTHROPIC = { 'anthropic-version': '2023-06-01' }

async function ask(method: string, path: string, options: { headers?: Record<string, string>; body?: unknown } = {}) {
  const { url } = await startGateway({ bodyLimit: 1000, allowedHosts: [] })
  return (await open(url + path, { method, ...options })).end()
}

const isOpenAIs = ({ json }: Reader) =>
  expect(json).toEqual({
    error: { message: expect.any(String), type: expect.any(String), param: null, code: expect.any(String) },
  })

function isAnthropics(reader: Reader): void {
  expect(reader.json).toEqual({
    type: 'error',
    error: { type: expect.any(String), message: expect.any(String), sluice_code: expect.any(String) },
    request_id: reader.headers['x-request-id'],
  })
  expect(reader.headers['request-id']).toBe(reader.headers['x-request-id'])
}

const isProblem = ({ headers, json }: Reader) => {
  expect(headers['content-type']).toContain('application/problem+json')
  expect(json).not.toHaveProperty('error')
}

function isProblemWithError(reader: Reader): void {
  expect(reader.headers['content-type']).toContain('application/problem+json')
  const { detail, code } = reader.json as { detail: string; code: string }
  expect(reader.json).toMatchObject({ error: { message: detail, type: 'invalid_request_error', param: null, code } })
}

const long = { messages: [{ role: 'user', content: 'x'.repeat(2000) }] }
const foreign = { host: 'evil.example' }

describe('an error has the shape that its path promises, whatever fails first:', () => {
  it.each<[method: string, path: string, status: number, options: object, shape: (reader: Reader) => void]>([
    ['PUT', '/v1/chat/completions', 405, {}, isOpenAIs],
    ['GET', '/v1/chat/completions/none', 404, {}, isOpenAIs],
    ['POST', '/v1/chat/completions', 413, { body: long }, isOpenAIs],
    ['PUT', '/v1/messages', 405, {}, isAnthropics],
    ['PUT', '/v1/messages/count_tokens', 405, {}, isAnthropics],
    ['GET', '/v1/messages/none', 404, {}, isAnthropics],
    ['POST', '/v1/messages', 413, { body: long }, isAnthropics],
    ['PUT', '/v1/chat', 405, {}, isProblem],
    ['GET', '/v1/streams/none', 404, {}, isProblem],
    ['POST', '/v1/chat', 413, { body: long }, isProblem],
    ['GET', '/nowhere', 404, {}, isProblem],
    ['GET', '/v1x', 404, {}, isProblem],
    ['GET', '/v1/chatter', 404, {}, isProblemWithError],
    ['PUT', '/v1/embeddings', 405, {}, isOpenAIs],
    ['POST', '/v1/files', 404, {}, isProblemWithError],
    ['DELETE', '/v1/models', 405, {}, isProblemWithError],
    ['POST', '/v1/complete', 404, { headers: ANTHROPIC }, isAnthropics],
    ['DELETE', '/v1/models', 405, { headers: ANTHROPIC }, isAnthropics],
    ['PUT', '/chat/completions', 405, {}, isOpenAIs],
    ['POST', '/chat/completions?x=1', 413, { body: long }, isOpenAIs],
    ['PUT', '/messages', 405, {}, isAnthropics],
    ['DELETE', '/models', 405, {}, isProblemWithError],
    ['DELETE', '/models', 405, { headers: ANTHROPIC }, isAnthropics],
    ['POST', '/chat', 404, {}, isProblem],
    ['GET', '/modelsx', 404, {}, isProblem],
    // The path decides, not the header.
    ['PUT', '/v1/chat/completions', 405, { headers: ANTHROPIC }, isOpenAIs],
    ['GET', '/v1/streams/none', 404, { headers: ANTHROPIC }, isProblem],
  ])('%s %s: %i', async (method, path, status, options, shape) => {
    const reader = await ask(method, path, options)
    expect(reader.status).toBe(status)
    shape(reader)
  })

  it.each<[path: string, shape: (reader: Reader) => void]>([
    ['/v1/chat/completions', ({ json }) => expect(json).toMatchObject({ error: { code: 'host_not_allowed' } })],
    ['/v1/messages', isAnthropics],
    ['/v1/chat', isProblem],
  ])('a host that is not allowed, at %s', async (path, shape) => {
    const reader = await ask('POST', path, { headers: foreign, body: {} })
    expect(reader.status).toBe(403)
    shape(reader)
  })
})

it('an SDK whose base URL lacks /v1 works', async () => {
  const { url } = await startGateway()
  const client = new OpenAI({ baseURL: url, apiKey: 'none' })
  const { choices } = await client.chat.completions.create({
    model: 'mock',
    max_tokens: 2,
    messages: [{ role: 'user', content: 'hi' }],
  })
  expect(choices[0]?.finish_reason).toBe('length')
  expect((await client.models.list()).data).toMatchObject([{ id: 'mock' }])
  expect(await client.models.retrieve('mock')).toMatchObject({ id: 'mock' })
})

describe('an SDK says what the gateway said', () => {
  it('of a route of OpenAI that there is not', async () => {
    const { url } = await startGateway()
    const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'key', maxRetries: 0 })
    await expect(openai.batches.list()).rejects.toMatchObject({
      status: 404,
      code: 'not_found',
      message: '404 There is nothing at /v1/batches.',
    })
  })

  it('of a route of Anthropic that there is not', async () => {
    const { url } = await startGateway()
    const anthropic = new Anthropic({ baseURL: url, apiKey: 'key', maxRetries: 0 })
    await expect(anthropic.messages.batches.list()).rejects.toMatchObject({
      status: 404,
      error: { error: { type: 'not_found_error', message: 'There is nothing at /v1/messages/batches.' } },
    })
  })
})
