import type { z } from 'zod'
import { ORIGINAL, type ChatRequest } from '../../src/chat-request.ts'
import { connectTo, type ProviderIdentity } from '../endpoint.ts'
import type { openaiOptions } from '../options.ts'
import type { Fields } from '../../src/json.ts'
import { AdaptedStream, Adaptations } from './adaptations.ts'
import { ChunkReader } from './chunks.ts'
import { passOn } from '../forward.ts'
import { stopSignalOf, type AttemptContext, type Provider } from '../provider.ts'
import { checkRequest, convertRequest } from './request.ts'
import { usesResponses } from './responses/api.ts'
import { ResponseReader } from './responses/events.ts'
import { checkResponse, toResponseBody } from './responses/request.ts'
import { serverAt } from './servers.ts'
import { listModels } from './list-models.ts'
import type { MessageParser } from '../stream-format.ts'
import { vendorAt } from '../vendors.ts'
import { UpstreamStream, type UpstreamRequest } from '../upstream.ts'

export type OpenAIOptions = ProviderIdentity & z.infer<typeof openaiOptions>

/**
 * Any server that implements Chat Completions: OpenAI, vLLM, Ollama, llama.cpp, Groq, DeepSeek, Mistral …
 * https://platform.openai.com/docs/api-reference/chat-streaming
 *
 * Or one that implements Responses, where `api` says so or OpenAI gets a request of that API: https://platform.openai.com/docs/api-reference/responses
 */
export function openai({
  name,
  models,
  baseUrl,
  apiKey,
  keys,
  headers,
  includeUsage,
  api,
  ...options
}: OpenAIOptions): Provider {
  const { transport, pathOf, secrets } = connectTo({ name, baseUrl, keys, ...options })
  const path = pathOf('/chat/completions')
  const uses = usesResponses(api, baseUrl)
  const usesResponsesFor = (request: ChatRequest) => uses(request.model, request[ORIGINAL] !== undefined)
  const adaptations = new Adaptations()
  const server = serverAt(baseUrl)
  const vendor = vendorAt(baseUrl, 'openai')
  const toHeaders = (key: string | undefined) => ({
    ...(key !== undefined && { authorization: `Bearer ${key}` }),
    ...headers,
  })

  function upstreamFor(context: AttemptContext) {
    const { connectTimeoutMs, traceHeaders, apiKey: key = apiKey } = context
    const signal = stopSignalOf(context)
    return { transport, headers: { ...traceHeaders, ...toHeaders(key) }, secrets, signal, connectTimeoutMs }
  }

  return {
    name,
    models,
    wire: 'openai',
    vendor,
    takesResponses: (model) => uses(model, true),
    check(request) {
      const check = usesResponsesFor(request) ? checkResponse : checkRequest
      return { ignored: check(request, server) }
    },
    stream(request, context) {
      if (usesResponsesFor(request)) {
        const upstream = { ...upstreamFor(context), path: pathOf('/responses') }
        const body = toResponseBody(request, server)
        const ask = (adapted: Fields) => send(upstream, adapted, new ResponseReader())
        return new AdaptedStream(request.model, body, adaptations, ask)
      }
      const upstream = { ...upstreamFor(context), path }
      const body = toBody(convertRequest(request, server), includeUsage)
      return new AdaptedStream(request.model, body, adaptations, (adapted) =>
        send(upstream, adapted, new ChunkReader()),
      )
    },
    forward({ route, body, contentType, contentLength, accept }, context) {
      const { headers: own, ...upstream } = upstreamFor(context)
      return passOn({
        ...upstream,
        path: pathOf(route),
        headers: { accept, ...own, 'content-type': contentType },
        body: typeof body === 'string' ? body : { chunks: body, length: contentLength },
        wire: 'openai',
      })
    },
    listModels: ({ signal, connectTimeoutMs, apiKey: key = apiKey }) =>
      listModels(
        {
          transport,
          path: pathOf('/models'),
          headers: toHeaders(key),
          wire: 'openai',
          signal,
          connectTimeoutMs,
        },
        vendor,
      ),
    close: async () => transport.close(),
  }
}

function send(upstream: Omit<UpstreamRequest, 'body'>, body: Fields, parser: MessageParser): UpstreamStream {
  const headers = body.stream === false ? { accept: 'application/json', ...upstream.headers } : upstream.headers
  return new UpstreamStream({ ...upstream, headers, body }, parser)
}

/** The request without the fields that only Sluice uses. */
function toBody({ mock: _, stream_options, ...request }: ChatRequest, includeUsage: boolean): Record<string, unknown> {
  const options = includeUsage
    ? { include_usage: true, ...(typeof stream_options === 'object' ? stream_options : undefined) }
    : stream_options
  return { ...request, stream: true, ...(options ? { stream_options: options } : {}) }
}
