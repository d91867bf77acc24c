import type { BaseLanguageModelInput } from '@langchain/core/language_models/base'
import { ChatOpenAI, type ChatOpenAICallOptions } from '@langchain/openai'
import { describe, expect, it } from 'vitest'
import { bothWays, meaningful, MODEL, type Outcome } from '../support/both-ways.ts'
import { calls, imageMessages, toolMessages, tools } from '../support/langchain.ts'
import * as openai from '../support/openai-upstream.ts'

// LangChain JS, with a Chat Completions server behind the gateway and without one.

interface Case {
  what: string
  completion: openai.Completion
  input?: BaseLanguageModelInput
  fields?: ConstructorParameters<typeof ChatOpenAI>[0]
  options?: Partial<ChatOpenAICallOptions>
}

const cases: Case[] = [
  { what: 'text', completion: openai.text },
  { what: 'several tools, in parallel, with arguments in pieces', completion: openai.tools, options: { tools } },
  {
    what: 'text and a tool that had to be called',
    completion: openai.textAndTool,
    options: { tools, tool_choice: 'get_weather' },
  },
  {
    what: 'the results of tools',
    completion: openai.text,
    input: toolMessages,
    options: { tools, parallel_tool_calls: false },
  },
  { what: 'reasoning', completion: openai.reasoning, fields: { reasoning: { effort: 'high' } } },
  { what: 'stop sequences', completion: openai.text, options: { stop: ['\n\n', 'END'] } },
  { what: 'a limit of tokens', completion: openai.cutOff, fields: { maxTokens: 5 } },
  { what: 'images', completion: openai.text, input: imageMessages },
  { what: 'log probabilities', completion: openai.logprobs, fields: { logprobs: true, topLogprobs: 2 } },
  {
    what: 'every other parameter',
    completion: openai.text,
    fields: {
      temperature: 0.5,
      topP: 0.9,
      frequencyPenalty: 0.1,
      presencePenalty: 0.2,
      user: 'user-1',
      service_tier: 'flex',
      modelKwargs: { seed: 7, yet_to_come: { nested: [1] } },
    },
    options: { response_format: { type: 'json_object' } },
  },
]

/** The gateway asks for a stream with usage, whatever it is asked for. */
function parameters({ request }: Outcome<unknown>): unknown {
  const { stream: _, stream_options: _options, ...rest } = request.body
  return rest
}

describe.each(cases)('$what', ({ completion, input = 'Hi!', fields, options = {} }) => {
  it.each(Object.entries(calls))('is the same with %s', async (_, call) => {
    const { straight, through } = await bothWays('openai', openai.answers(completion), (origin) => {
      const configuration = { baseURL: `${origin}/v1` }
      const model = new ChatOpenAI({ model: MODEL, apiKey: 'caller-key', maxRetries: 0, configuration, ...fields })
      return call(model, input, options)
    })
    expect(straight.error).toBeUndefined()
    expect(meaningful(through.result)).toEqual(meaningful(straight.result))
    expect(parameters(through)).toEqual(parameters(straight))
  })
})
