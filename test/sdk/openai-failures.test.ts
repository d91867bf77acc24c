import OpenAI from 'openai'
import { expect, it } from 'vitest'
import { MODEL } from '../support/both-ways.ts'
import { startGateway } from '../support/gateway.ts'
import { describeAborts, describeFailures, type SdkSubject } from '../support/sdk-failures.ts'
import { startUpstream } from '../support/upstream.ts'

const params = { model: MODEL, messages: [{ role: 'user' as const, content: 'hi' }] }

function client(origin: string): OpenAI {
  return new OpenAI({ baseURL: `${origin}/v1`, apiKey: 'caller-key', maxRetries: 0 })
}

const subject: SdkSubject = {
  type: 'openai',
  async stream(origin, onText, signal) {
    const stream = await client(origin).chat.completions.create({ ...params, stream: true }, { signal })
    for await (const { choices } of stream) if (choices[0]?.delta.content) onText(choices[0].delta.content)
  },
  whole: (origin, signal) => client(origin).chat.completions.create(params, { signal }),
}

describeFailures(subject, {
  '400': 'BadRequestError 400',
  // The gateway's key, and none of the caller's business.
  '401': ['AuthenticationError 401', 'InternalServerError 502'],
  '404': 'NotFoundError 404',
  '429': 'RateLimitError 429',
  '500': 'InternalServerError 500',
  '503': 'InternalServerError 503',
  'an error in mid-stream': 'APIError',
  'a reset in mid-stream': ['TypeError', 'APIError'],
  // Without the gateway, the beginning passes for the whole.
  'an end in mid-stream': ['none', 'APIError'],
  'half of an answer in one piece': ['TypeError', 'InternalServerError 502'],
})
describeAborts(subject)

it.each([
  'prompt is too long: 209000 tokens > 200000 maximum',
  'input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000',
])("gets OpenAI's code when the conversation is too long for Claude: %s", async (message) => {
  const { url: baseUrl } = await startUpstream((response) => {
    response.writeHead(400, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ type: 'error', error: { type: 'invalid_request_error', message } }))
  })
  const anthropic = { type: 'anthropic' as const, baseUrl, headers: {}, maxTokens: 100, apiKey: 'k' }
  const { url } = await startGateway({ providers: { anthropic }, models: { [MODEL]: { target: 'anthropic/claude' } } })
  const error = { status: 400, code: 'context_length_exceeded' }
  const { chat, responses } = client(url)
  await expect(chat.completions.create(params)).rejects.toMatchObject(error)
  await expect(responses.create({ model: MODEL, input: 'hi' })).rejects.toMatchObject(error)
})
