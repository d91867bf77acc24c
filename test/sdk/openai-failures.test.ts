import OpenAI from 'openai'
import { MODEL } from '../support/both-ways.ts'
import { describeAborts, describeFailures, type SdkSubject } from '../support/sdk-failures.ts'

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
