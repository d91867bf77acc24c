import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { generateText, streamText, type LanguageModel } from 'ai'
import ai from 'ai/package.json' with { type: 'json' }
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

/** Failures of either protocol, given what an error that a stream tells is called. */
const failuresWith = (inStream: string): Failures => ({
  '400': 'APICallError 400',
  // The gateway's key, and none of the caller's business.
  '401': ['APICallError 401', 'APICallError 502'],
  '404': 'APICallError 404',
  '429': 'APICallError 429',
  '500': 'APICallError 500',
  '503': 'APICallError 503',
  'an error in mid-stream': inStream,
  'a reset in mid-stream': ['APICallError 200', inStream],
  // Without the gateway, the beginning passes for the whole.
  'an end in mid-stream': ['none', inStream],
  'half of an answer in one piece': ['APICallError 200', 'APICallError 502'],
})

// AI SDK 6 passes on the object that the stream tells; later ones make an error of it.
const isPassedOn = ai.version.startsWith('6.')

describe('openai-compatible', () => {
  const inStream = isPassedOn ? 'object' : 'StreamProviderError'
  describeFailures(compatible, {
    ...failuresWith(inStream),
    'an end in mid-stream': ['InvalidResponseDataError', inStream],
  })
  describeAborts(compatible)
})

describe('anthropic', () => {
  describeFailures(anthropic, failuresWith(isPassedOn ? 'object' : 'StreamProviderError 500'))
  describeAborts(anthropic)
})
