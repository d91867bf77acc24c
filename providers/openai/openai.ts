import { z } from 'zod'
import type { ChatRequest } from '../../src/chat-request.ts'
import {
  baseUrlSchema,
  connectTo,
  headersSchema,
  keySchema,
  type ProviderIdentity,
  transportOptions,
} from '../endpoint.ts'
import { ChunkReader } from './chunks.ts'
import { toChatRequest } from './request.ts'
import type { Provider } from '../provider.ts'
import { UpstreamStream } from '../upstream.ts'

export const openaiOptions = z.object({
  /** The URL without `/chat/completions`. */
  baseUrl: baseUrlSchema.default('https://api.openai.com/v1'),
  /** Bearer token for attempts without their own key. Absent for local servers that need none. */
  apiKey: keySchema.optional(),
  headers: headersSchema,
  ...transportOptions,
  /** Requests token counts with `stream_options`; set to false for servers that refuse the field. */
  includeUsage: z.boolean().default(true),
})

export type OpenAIOptions = ProviderIdentity & z.infer<typeof openaiOptions>

/**
 * Any server that implements Chat Completions: OpenAI, vLLM, Ollama, llama.cpp, Groq, DeepSeek, Mistral …
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

/** The request without the fields that only Sluice uses. */
function toBody({ mock: _, stream_options, ...request }: ChatRequest, includeUsage: boolean): Record<string, unknown> {
  const options = includeUsage
    ? { include_usage: true, ...(typeof stream_options === 'object' ? stream_options : undefined) }
    : stream_options
  return { ...request, stream: true, ...(options ? { stream_options: options } : {}) }
}
