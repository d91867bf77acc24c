import { createOpenAI } from '@ai-sdk/openai'
import { describe, expect, it } from 'vitest'
import { generate, imageMessages, stream, toolMessages, tools, type Asked } from '../../support/ai-sdk.ts'
import { bothWays, MODEL, type Outcome } from '../../support/both-ways.ts'
import * as openai from '../../support/openai-upstream.ts'

// AI SDK as OpenAI's own users have it, with a Chat Completions server behind the gateway and without one.

const cases: [what: string, completion: openai.Completion, asked: Asked][] = [
  ['text', openai.text, { system: 'Be brief.' }],
  ['several tools, in parallel, with arguments in pieces', openai.tools, { tools }],
  ['text and a tool that had to be called', openai.textAndTool, { tools, toolChoice: 'required' }],
  ['the results of tools', openai.text, { tools, messages: toolMessages }],
  ['reasoning', openai.reasoning, { providerOptions: { openai: { reasoningEffort: 'high', forceReasoning: true } } }],
  ['a limit of tokens', openai.cutOff, { maxOutputTokens: 5 }],
  ['images and files', openai.text, { messages: imageMessages }],
  ['log probabilities', openai.logprobs, { providerOptions: { openai: { logprobs: 2 } } }],
  [
    'every other parameter',
    openai.text,
    { temperature: 0.5, seed: 7, providerOptions: { openai: { user: 'user-1' } } },
  ],
]

/** The gateway asks for a stream with usage, whatever it is asked for. */
function parameters({ request }: Outcome<unknown>): unknown {
  const { stream: _, stream_options: _options, ...rest } = request.body
  return rest
}

describe.each(cases)('%s', (_, completion, asked) => {
  it.each(Object.entries({ generateText: generate, streamText: stream }))('is the same with %s', async (__, call) => {
    const { straight, through } = await bothWays('openai', openai.answers(completion), (origin) => {
      const provider = createOpenAI({ baseURL: `${origin}/v1`, apiKey: 'caller-key' })
      return call(provider.chat(MODEL), asked)
    })
    expect(straight.error).toBeUndefined()
    expect(through.result).toEqual(straight.result)
    expect(parameters(through)).toEqual(parameters(straight))
  })
})
