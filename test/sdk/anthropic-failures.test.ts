import Anthropic from '@anthropic-ai/sdk'
import { MODEL } from '../support/both-ways.ts'
import { describeAborts, describeFailures, type SdkSubject } from '../support/sdk-failures.ts'

const params = { model: MODEL, max_tokens: 100, messages: [{ role: 'user' as const, content: 'hi' }] }

function client(origin: string): Anthropic {
  return new Anthropic({ baseURL: origin, apiKey: 'caller-key', maxRetries: 0 })
}

const subject: SdkSubject = {
  type: 'anthropic',
  async stream(origin, onText, signal) {
    const stream = client(origin).messages.stream(params, { signal })
    stream.on('text', (text) => onText(text))
    await stream.finalMessage()
  },
  whole: (origin, signal) => client(origin).messages.create(params, { signal }),
}

describeFailures(subject, {
  '400': 'BadRequestError 400',
  // The gateway's key, and none of the caller's business.
  '401': ['AuthenticationError 401', 'InternalServerError 502'],
  '404': 'NotFoundError 404',
  '429': 'RateLimitError 429',
  '500': 'InternalServerError 500',
  '503': 'ServiceUnavailableError 503',
  'an error in mid-stream': 'APIError',
  'a reset in mid-stream': ['AnthropicError', 'APIError'],
  'an end in mid-stream': ['AnthropicError', 'APIError'],
  'half of an answer in one piece': ['TypeError', 'InternalServerError 502'],
})
describeAborts(subject)
