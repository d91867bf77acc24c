import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import type { Config } from '../../src/config.ts'
import { startGateway } from '../support/gateway.ts'
import { open, type Reader } from '../support/reader.ts'

// What the callers of an SDK are told when it is the gateway that refuses.

const messages = [{ role: 'user' as const, content: 'Hi!' }]
const long = [{ role: 'user' as const, content: 'x'.repeat(2000) }]

interface Refusal {
  what: string
  body: unknown
  headers?: Record<string, string>
  settings?: Partial<Config>
  status: number
  /** OpenAI's `code` and `param`, Anthropic's type. */
  code: string
  param?: string
  type: string
  retryable?: boolean
}

const invalid = { status: 400, code: 'invalid_request', type: 'invalid_request_error' }

const refusals: Refusal[] = [
  { what: 'JSON that is cut', body: '{"model": "mock", ', ...invalid, code: 'invalid_json' },
  { what: 'JSON that is no object', body: '[]', ...invalid, param: '(body)' },
  { what: 'a field of a wrong type', body: { temperature: 'hot' }, ...invalid, param: 'temperature' },
  { what: 'no messages', body: { messages: [] }, ...invalid, param: 'messages' },
  { what: 'no model', body: { model: '' }, ...invalid, param: 'model' },
  {
    what: 'a model that nobody offers',
    body: { model: 'nope' },
    status: 404,
    code: 'unknown_model',
    param: 'model',
    type: 'not_found_error',
  },
  {
    what: 'a body beyond the limit',
    body: { messages: long },
    settings: { bodyLimit: 1000 },
    status: 413,
    code: 'body_too_large',
    type: 'request_too_large',
  },
  {
    what: 'a body that is no JSON',
    body: 'model=mock',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    status: 415,
    code: 'unsupported_media_type',
    param: 'Content-Type',
    type: 'invalid_request_error',
  },
  {
    what: 'a request when there is no room',
    body: {},
    settings: { storeMaxBytes: 1 },
    status: 503,
    code: 'store_full',
    type: 'overloaded_error',
    retryable: true,
  },
]

async function ask(path: string, { body, headers, settings }: Refusal, more: object): Promise<Reader> {
  const { url } = await startGateway(settings)
  const sent = typeof body === 'string' ? body : { model: 'mock', messages, ...more, ...(body as object) }
  const asked = open(`${url}${path}`, { method: 'POST', body: sent, headers: { 'x-request-id': 'mine-1', ...headers } })
  return (await asked).end()
}

describe.each(refusals)('$what', (refusal) => {
  const { status, code, param = null, type, retryable = false } = refusal

  it('is refused as OpenAI would', async () => {
    const reader = await ask('/v1/chat/completions', refusal, {})
    expect(reader.status).toBe(status)
    expect(reader.headers['content-type']).toMatch(/^application\/json/)
    expect(reader.headers).toMatchObject({ 'x-request-id': 'mine-1', 'x-should-retry': String(retryable) })
    expect(reader.json).toEqual({
      error: { message: expect.any(String), type: retryable ? 'server_error' : 'invalid_request_error', param, code },
    })
    if (retryable) expect(Number(reader.headers['retry-after'])).toBeGreaterThan(0)
  })

  it('is refused as Anthropic would', async () => {
    const reader = await ask('/v1/messages', refusal, { max_tokens: 100 })
    expect(reader.status).toBe(status)
    expect(reader.headers['content-type']).toMatch(/^application\/json/)
    expect(reader.headers).toMatchObject({ 'request-id': 'mine-1', 'x-should-retry': String(retryable) })
    expect(reader.json).toEqual({
      type: 'error',
      error: { type, message: param === null ? expect.any(String) : expect.stringContaining(param), sluice_code: code },
      request_id: 'mine-1',
    })
    if (retryable) expect(Number(reader.headers['retry-after'])).toBeGreaterThan(0)
  })
})

it('an OpenAI client finds the code, the field and the id of its request', async () => {
  const { url } = await startGateway()
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'key', maxRetries: 0 })
  const error: unknown = await client.chat.completions
    .create({ model: 'nope', messages })
    .catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(OpenAI.NotFoundError)
  expect(error).toMatchObject({ status: 404, code: 'unknown_model', param: 'model', type: 'invalid_request_error' })
  expect((error as InstanceType<typeof OpenAI.APIError>).requestID).toMatch(/^[\w-]{36}$/)
})

it('an Anthropic client finds the type and the id of its request', async () => {
  const { url } = await startGateway()
  const client = new Anthropic({ baseURL: url, apiKey: 'key', maxRetries: 0 })
  const body = { model: 'nope', max_tokens: 100, messages }
  const error: unknown = await client.messages.create(body).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(Anthropic.NotFoundError)
  expect(error).toMatchObject({ status: 404, type: 'not_found_error' })
  expect((error as InstanceType<typeof Anthropic.APIError>).requestID).toMatch(/^[\w-]{36}$/)
})
