import { createAnthropic } from '@ai-sdk/anthropic'
import type { ToolSet } from 'ai'
import { describe, expect, it } from 'vitest'
import { generate, imageMessages, stream, toolMessages, tools, type Asked } from '../support/ai-sdk.ts'
import * as anthropic from '../support/anthropic-upstream.ts'
import { bothWays, MODEL, type Outcome } from '../support/both-ways.ts'

// AI SDK, with a Messages server behind the gateway and without one.

const webSearch = createAnthropic({ apiKey: 'none' }).tools.webSearch_20250305({ maxUses: 2 })

const cases: [what: string, recording: string, asked: Asked][] = [
  ['text', 'text', { system: 'Be brief.' }],
  ['several tools, in parallel, with arguments in pieces', 'tools', { tools }],
  ['a tool that had to be called', 'tools', { tools, toolChoice: { type: 'tool', toolName: 'get_weather' } }],
  ['a tool of Anthropic’s own', 'server-tool', { tools: { web_search: webSearch as ToolSet[string] } }],
  ['the results of tools', 'text', { tools, messages: toolMessages }],
  ['thinking', 'thinking', { providerOptions: { anthropic: { thinking: { type: 'enabled', budgetTokens: 2000 } } } }],
  ['thinking between tools', 'thinking-interleaved', { tools }],
  ['redacted thinking', 'redacted-thinking', {}],
  ['citations', 'citations', {}],
  ['what the prompt cache gave', 'cache', { providerOptions: { anthropic: { cacheControl: { type: 'ephemeral' } } } }],
  ['stop sequences', 'stop-sequence', { stopSequences: ['\n\nHuman:', 'END'] }],
  ['a limit of tokens', 'context-window', { maxOutputTokens: 5 }],
  ['a refusal', 'refusal', {}],
  ['images and documents', 'text', { messages: imageMessages }],
  [
    'every other parameter',
    'tools',
    {
      temperature: 0.5,
      topK: 40,
      providerOptions: { anthropic: { metadata: { userId: 'user-1' }, disableParallelToolUse: true, effort: 'low' } },
      tools,
      toolChoice: 'required',
    },
  ],
]

function parameters({ request }: Outcome<unknown>): unknown {
  const { stream: _, ...rest } = request.body
  return { ...rest, betas: request.headers['anthropic-beta'], version: request.headers['anthropic-version'] }
}

describe.each(cases)('%s', (_, recording, asked) => {
  it.each(Object.entries({ generateText: generate, streamText: stream }))('is the same with %s', async (__, call) => {
    const { straight, through } = await bothWays('anthropic', anthropic.answers(recording), (origin) => {
      const model = createAnthropic({ baseURL: `${origin}/v1`, apiKey: 'caller-key', generateId: () => 'id' })(MODEL)
      return call(model, { maxOutputTokens: 100, ...asked })
    })
    expect(straight.error).toBeUndefined()
    expect(through.result).toEqual(straight.result)
    expect(parameters(through)).toEqual(parameters(straight))
  })
})
