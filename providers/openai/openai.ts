import type { z } from 'zod'
import type { ChatMessage, ChatRequest, ContentPart } from '../../src/chat-request.ts'
import { connectTo, type ProviderIdentity } from '../endpoint.ts'
import type { openaiOptions } from '../options.ts'
import type { Fields } from '../../src/json.ts'
import { AdaptedStream, Adaptations } from './adaptations.ts'
import { ChunkReader } from './chunks.ts'
import type { Provider } from '../provider.ts'
import { UpstreamStream, type UpstreamRequest } from '../upstream.ts'

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
  const adaptations = new Adaptations()
  return {
    name,
    models,
    stream(request, { signal, connectTimeoutMs, traceHeaders, apiKey: key = apiKey }) {
      const upstream = {
        transport,
        path,
        headers: { ...traceHeaders, ...(key === undefined ? {} : { authorization: `Bearer ${key}` }), ...headers },
        secrets,
        signal,
        connectTimeoutMs,
      }
      const body = toBody(toChatRequest(request), includeUsage)
      return new AdaptedStream(request.model, body, adaptations, (adapted) => send(upstream, adapted))
    },
    close: async () => transport.close(),
  }
}

function send(upstream: Omit<UpstreamRequest, 'body'>, body: Fields): UpstreamStream {
  const headers = body.stream === false ? { accept: 'application/json', ...upstream.headers } : upstream.headers
  return new UpstreamStream({ ...upstream, headers, body }, new ChunkReader())
}

/** The request without the fields that only Sluice uses. */
function toBody({ mock: _, stream_options, ...request }: ChatRequest, includeUsage: boolean): Record<string, unknown> {
  const options = includeUsage
    ? { include_usage: true, ...(typeof stream_options === 'object' ? stream_options : undefined) }
    : stream_options
  return { ...request, stream: true, ...(options ? { stream_options: options } : {}) }
}

/**
 * Removes Anthropic-only fields that do not affect the answer: prompt cache hints, signed thoughts, citations of
 * earlier content, how a call was made, and whether its result is an error (the result says so itself). Fields that do
 * affect the answer stay, for the upstream to refuse.
 */
export function toChatRequest(request: ChatRequest): ChatRequest {
  const { cache_control: _, thinking, messages, tools, ...rest } = request
  return {
    ...rest,
    ...(thinking !== undefined && !isDisabled(thinking) && { thinking }),
    messages: messages.map(toChatMessage),
    ...(tools && { tools: tools.map(toChatTool) }),
  }
}

function isDisabled(thinking: unknown): boolean {
  return typeof thinking === 'object' && thinking !== null && 'type' in thinking && thinking.type === 'disabled'
}

function toChatMessage(message: ChatMessage): ChatMessage {
  const { thinking_blocks: _, cache_control: _cache, is_error: _error, toolset_name: _toolset, ...rest } = message
  const { content, tool_calls } = rest
  return {
    ...rest,
    ...(Array.isArray(content) && { content: content.map(toChatPart) }),
    ...(tool_calls && { tool_calls: tool_calls.map(toChatCall) }),
  }
}

function toChatPart({ cache_control: _, citations: _citations, ...part }: ContentPart): ContentPart {
  return part
}

type ToolCall = NonNullable<ChatMessage['tool_calls']>[number]

function toChatCall({ cache_control: _, caller: _caller, toolset_name: _toolset, ...call }: ToolCall): ToolCall {
  return call
}

type Tool = NonNullable<ChatRequest['tools']>[number]

function toChatTool({ cache_control: _, eager_input_streaming: _eager, ...tool }: Tool): Tool {
  return tool
}
