import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import type { Wire } from './recording.ts'

/** What the official SDK of a wire makes of a stream. */
export function readWithSdk(wire: Wire, origin: string, model: string, signal: AbortSignal): Promise<unknown> {
  const messages = [{ role: 'user' as const, content: 'Hi!' }]
  if (wire === 'anthropic') {
    const client = new Anthropic({ apiKey: 'key', baseURL: origin, maxRetries: 0 })
    return client.messages.stream({ model, max_tokens: 4096, messages }, { signal }).finalMessage()
  }
  const client = new OpenAI({ apiKey: 'key', baseURL: `${origin}/v1`, maxRetries: 0 })
  const body = { model, messages, stream: true as const, stream_options: { include_usage: true } }
  return client.chat.completions.stream(body, { signal }).finalChatCompletion()
}
