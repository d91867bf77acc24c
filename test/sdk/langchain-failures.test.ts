import { ChatAnthropic } from '@langchain/anthropic'
import type { BaseChatModel } from '@langchain/core/language_models/chat_models'
import { ChatOpenAI } from '@langchain/openai'
import { describe } from 'vitest'
import { MODEL } from '../support/both-ways.ts'
import { describeAborts, describeFailures, type Failures, type SdkSubject } from '../support/sdk-failures.ts'

function subjectOf(type: SdkSubject['type'], model: (origin: string) => BaseChatModel): SdkSubject {
  return {
    type,
    async stream(origin, onText, signal) {
      for await (const { text } of await model(origin).stream('hi', { signal })) if (text) onText(text)
    },
    whole: (origin, signal) => model(origin).invoke('hi', { signal }),
  }
}

const options = { model: MODEL, apiKey: 'caller-key', maxRetries: 0 }
const openai = subjectOf(
  'openai',
  (origin) => new ChatOpenAI({ ...options, configuration: { baseURL: `${origin}/v1` } }),
)
const anthropic = subjectOf('anthropic', (origin) => new ChatAnthropic({ ...options, anthropicApiUrl: origin }))

// Both use the official packages.
const failures: Failures = {
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
}

describe('ChatOpenAI', () => {
  describeFailures(openai, failures)
  describeAborts(openai)
})

describe('ChatAnthropic', () => {
  describeFailures(anthropic, failures)
  describeAborts(anthropic)
})
