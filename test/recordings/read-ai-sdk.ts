import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { streamText, type LanguageModel } from 'ai'
import type { Wire } from './recording.ts'

// The recordings' models are unknown to the AI SDK, which warns about each.
globalThis.AI_SDK_LOG_WARNINGS = false

/** What the AI SDK reports about a stream, apart from times and the connection. */
export async function readWithAiSdk(wire: Wire, origin: string, model: string, signal: AbortSignal): Promise<unknown> {
  const result = streamText({
    model: languageModel(wire, origin, model),
    messages: [{ role: 'user', content: 'Hi!' }],
    maxRetries: 0,
    abortSignal: signal,
    onError: () => {},
  })
  for await (const part of result.fullStream) {
    if (part.type === 'error') throw part.error
    if (part.type === 'abort') throw new Error('aborted')
  }
  return {
    content: await result.content,
    text: await result.text,
    reasoning: await result.reasoningText,
    toolCalls: await result.toolCalls,
    sources: await result.sources,
    finishReason: await result.finishReason,
    rawFinishReason: await result.rawFinishReason,
    usage: await result.totalUsage,
    providerMetadata: await result.providerMetadata,
  }
}

function languageModel(wire: Wire, origin: string, model: string): LanguageModel {
  const common = { apiKey: 'key', baseURL: `${origin}/v1` }
  if (wire === 'anthropic') return createAnthropic(common)(model)
  return createOpenAICompatible({ ...common, name: 'recorded', includeUsage: true })(model)
}
