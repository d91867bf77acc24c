import { ChatAnthropic, type ChatAnthropicCallOptions } from '@langchain/anthropic'
import type { BaseLanguageModelInput } from '@langchain/core/language_models/base'
import { SystemMessage } from '@langchain/core/messages'
import { describe, expect, it } from 'vitest'
import * as anthropic from '../support/anthropic-upstream.ts'
import { bothWays, meaningful, MODEL, type Outcome } from '../support/both-ways.ts'
import { calls, imageMessages, toolMessages, tools } from '../support/langchain.ts'

// LangChain JS, with a Messages server behind the gateway and without one.

interface Case {
  what: string
  recording: string
  input?: BaseLanguageModelInput
  fields?: ConstructorParameters<typeof ChatAnthropic>[0]
  options?: Partial<ChatAnthropicCallOptions>
}

const cases: Case[] = [
  { what: 'text', recording: 'text', input: [new SystemMessage('Be brief.'), ...imageMessages] },
  { what: 'several tools, in parallel, with arguments in pieces', recording: 'tools', options: { tools } },
  { what: 'a tool that had to be called', recording: 'tools', options: { tools, tool_choice: 'get_weather' } },
  { what: 'the results of tools', recording: 'text', input: toolMessages, options: { tools } },
  {
    what: 'thinking',
    recording: 'thinking',
    fields: { maxTokens: 5000, thinking: { type: 'enabled', budget_tokens: 2000 } },
  },
  { what: 'thinking between tools', recording: 'thinking-interleaved', options: { tools } },
  { what: 'redacted thinking', recording: 'redacted-thinking' },
  { what: 'citations', recording: 'citations' },
  { what: 'what the prompt cache gave', recording: 'cache' },
  { what: 'stop sequences', recording: 'stop-sequence', options: { stop: ['\n\nHuman:', 'END'] } },
  { what: 'a limit of tokens', recording: 'context-window', fields: { maxTokens: 5 } },
  { what: 'a refusal', recording: 'refusal' },
  {
    what: 'every other parameter',
    recording: 'text',
    fields: {
      temperature: 0.5,
      topK: 40,
      invocationKwargs: { metadata: { user_id: 'user-1' }, yet_to_come: { nested: [1] } },
    },
  },
]

/** A string is short for one block of text. */
function parameters({ request }: Outcome<unknown>): unknown {
  const { stream: _, ...rest } = request.body
  return JSON.parse(JSON.stringify(rest), (name, value: unknown) =>
    (name === 'content' || name === 'system') && typeof value === 'string' ? [{ type: 'text', text: value }] : value,
  )
}

describe.each(cases)('$what', ({ recording, input = 'Hi!', fields, options = {} }) => {
  it.each(Object.entries(calls))('is the same with %s', async (_, call) => {
    const { straight, through } = await bothWays('anthropic', anthropic.answers(recording), (origin) => {
      const model = new ChatAnthropic({
        model: MODEL,
        apiKey: 'caller-key',
        maxRetries: 0,
        anthropicApiUrl: origin,
        ...fields,
      })
      return call(model, input, options)
    })
    expect(straight.error).toBeUndefined()
    expect(meaningful(through.result)).toEqual(meaningful(straight.result))
    expect(parameters(through)).toEqual(parameters(straight))
  })
})
