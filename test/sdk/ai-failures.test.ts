import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { generateText, streamText, type LanguageModel } from 'ai'
import { describe } from 'vitest'
import { MODEL } from '../support/both-ways.ts'
import { describeAborts, describeFailures, type Failures, type SdkSubject } from '../support/sdk-failures.ts'

function subjectOf(type: SdkSubject['type'], model: (origin: string) => LanguageModel): SdkSubject {
  const options = { prompt: 'hi', maxOutputTokens: 100, maxRetries: 0 }
  return {
    type,
    async stream(origin, onText, abortSignal) {
      const { fullStream } = streamText({ ...options, model: model(origin), abortSignal, onError: () => {} })
      for await (const part of fullStream) {
        if (part.type === 'text-delta') onText(part.text)
        if (part.type === 'error') throw part.error
      }
    },
    whole: (origin, abortSignal) => generateText({ ...options, model: model(origin), abortSignal }),
  }
}

const compatible = subjectOf('openai', (origin) =>
  createOpenAICompatible({ name: 'sluice', baseURL: `${origin}/v1`, apiKey: 'caller-key' })(MODEL),
)
const anthropic = subjectOf('anthropic', (origin) =>
  createAnthropic({ baseURL: `${origin}/v1`, apiKey: 'caller-key' })(MODEL),
)

const failures: Failures = {
  '400': 'APICallError 400',
  // The gateway's key, and none of the caller's business.
  '401': ['APICallError 401', 'APICallError 502'],
  '404': 'APICallError 404',
  '429': 'APICallError 429',
  '500': 'APICallError 500',
  '503': 'APICallError 503',
  // The error as the stream tells it, which the package passes on as it is.
  'an error in mid-stream': 'object',
  'a reset in mid-stream': ['APICallError 200', 'object'],
  // Without the gateway, the beginning passes for the whole.
  'an end in mid-stream': ['none', 'object'],
  'half of an answer in one piece': ['APICallError 200', 'APICallError 502'],
}

describe('openai-compatible', () => {
  describeFailures(compatible, { ...failures, 'an end in mid-stream': ['InvalidResponseDataError', 'object'] })
  describeAborts(compatible)
})

describe('anthropic', () => {
  describeFailures(anthropic, failures)
  describeAborts(anthropic)
})
