import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { expect, it } from 'vitest'
import type { Limits } from '../../src/access/caller.ts'
import { startGateway } from '../support/gateway.ts'
import { KEY, withKey } from '../support/keys.ts'

// What the SDKs make of a limit.

const messages = [{ role: 'user' as const, content: 'hi' }]

async function setUp(limits: Limits, maxRetries = 0) {
  const gateway = await startGateway(withKey({ limits }))
  const openai = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: KEY, maxRetries })
  const anthropic = new Anthropic({ baseURL: gateway.url, apiKey: KEY, maxRetries })
  return { gateway, openai, anthropic }
}

const complete = (openai: OpenAI) => openai.chat.completions.create({ model: 'mock', messages, max_tokens: 3 })
const respond = (openai: OpenAI) => openai.responses.create({ model: 'mock', input: 'hi', max_output_tokens: 3 })
const message = (anthropic: Anthropic) => anthropic.messages.create({ model: 'mock', messages, max_tokens: 3 })

it("is OpenAI's RateLimitError, with its code and the time to wait", async () => {
  const { openai } = await setUp({ requestsPerMinute: 1 })
  await complete(openai)
  for (const ask of [complete, respond]) {
    const error = await ask(openai).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    if (!(error instanceof OpenAI.RateLimitError)) throw error
    expect(error).toMatchObject({ status: 429, code: 'rate_limit_exceeded', type: 'rate_limit_error' })
    expect(Number(error.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(error.headers.get('ratelimit')).toMatch(/^"caller-requests-per-minute";r=0;t=\d+$/)
  }
})

it("is Anthropic's RateLimitError", async () => {
  const { anthropic } = await setUp({ requestsPerMinute: 1 })
  await message(anthropic)
  const error = await message(anthropic).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof Anthropic.RateLimitError)) throw error
  expect(error).toMatchObject({ status: 429, error: { error: { type: 'rate_limit_error' } } })
  expect(Number(error.headers.get('retry-after'))).toBeGreaterThan(0)
})

it('is not retried when a budget is used up', async () => {
  const { openai, anthropic, gateway } = await setUp({ tokensPerDay: 10 }, 3)
  await complete(openai)
  await expect(complete(openai)).rejects.toMatchObject({ code: 'insufficient_quota', type: 'insufficient_quota' })
  await expect(message(anthropic)).rejects.toBeInstanceOf(Anthropic.RateLimitError)
  expect(await gateway.metric('sluice_limit_refusals_total{caller="app",limit="tokens_per_day"}')).toBe(2)
})

it('is a wrong request when the answer may not be so long', async () => {
  const { openai, anthropic } = await setUp({ maxTokens: 2 })
  await expect(complete(openai)).rejects.toMatchObject({ status: 400, param: 'max_tokens' })
  await expect(respond(openai)).rejects.toMatchObject({ status: 400, param: 'max_output_tokens' })
  await expect(message(anthropic)).rejects.toBeInstanceOf(Anthropic.BadRequestError)
})

it('of models is a PermissionDeniedError', async () => {
  const gateway = await startGateway(withKey({ models: [] }))
  const openai = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: KEY, maxRetries: 0 })
  const anthropic = new Anthropic({ baseURL: gateway.url, apiKey: KEY, maxRetries: 0 })
  await expect(complete(openai)).rejects.toBeInstanceOf(OpenAI.PermissionDeniedError)
  await expect(message(anthropic)).rejects.toBeInstanceOf(Anthropic.PermissionDeniedError)
  expect((await openai.models.list()).data).toEqual([])
})
