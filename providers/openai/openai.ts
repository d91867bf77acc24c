import { z } from 'zod'
import type { ChatRequest } from '../../src/chat-request.ts'
import { baseUrlSchema, connectTo, headersSchema, keySchema, transportOptions } from '../endpoint.ts'
import { ChunkReader } from './chunks.ts'
import { toChatRequest } from './request.ts'
import type { Provider } from '../provider.ts'
import { UpstreamStream } from '../upstream.ts'

export const openaiOptions = z.object({
  /** Up to and without `/chat/completions`. */
  baseUrl: baseUrlSchema.default('https://api.openai.com/v1'),
  /** Sent as a bearer token when an attempt brings no key of its own; none for local servers that want none. */
  apiKey: keySchema.optional(),
  headers: headersSchema,
  ...transportOptions,
  /** Asks for token counts with `stream_options`; off for a server that refuses the field. */
  includeUsage: z.boolean().default(true),
})

export type OpenAIOptions = z.infer<typeof openaiOptions> & {
  name: string
  models?: readonly string[] | undefined
  /** All keys an attempt may use; redacted from errors. */
  keys?: readonly string[]
}

/**
 * Anything that speaks Chat Completions: OpenAI, vLLM, Ollama, llama.cpp, Groq, DeepSeek, Mistral …
 * https://platform.openai.com/docs/api-reference/chat-streaming
 */
export function openai({
  name,
  models,
  baseUrl,
  apiKey,
  keys,
  headers,
  includeUsage,
  ...options
}: OpenAIOptions): Provider {
  const { transport, pathOf, secrets } = connectTo({ name, baseUrl, keys, ...options })
  const path = pathOf('/chat/completions')
  return {
    name,
    models,
    stream(request, { signal, connectTimeoutMs, traceHeaders, apiKey: key = apiKey }) {
      const upstream = {
        transport,
        path,
        headers: { ...traceHeaders, ...(key === undefined ? {} : { authorization: `Bearer ${key}` }), ...headers },
        body: toBody(toChatRequest(request), includeUsage),
        secrets,
        signal,
        connectTimeoutMs,
      }
      return new UpstreamStream(upstream, new ChunkReader())
    },
    close: async () => transport.close(),
  }
}

/** The request as it came, less what only Sluice understands. */
function toBody({ mock: _, stream_options, ...request }: ChatRequest, includeUsage: boolean): Record<string, unknown> {
  const options = includeUsage
    ? { include_usage: true, ...(typeof stream_options === 'object' ? stream_options : undefined) }
    : stream_options
  return { ...request, stream: true, ...(options ? { stream_options: options } : {}) }
}
