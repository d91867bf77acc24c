import type { z } from 'zod'
import { connectTo, type ProviderIdentity } from '../endpoint.ts'
import type { anthropicOptions } from '../options.ts'
import { MessageReader } from './events.ts'
import { convertRequest, type MessagesServer } from './request.ts'
import type { Fields } from '../../src/json.ts'
import { askFor } from '../forward.ts'
import { stopSignalOf, type AttemptContext, type Provider } from '../provider.ts'
import { listModels } from './list-models.ts'
import { vendorAt } from '../vendors.ts'
import { UpstreamStream } from '../upstream.ts'
import { sentInvalid } from '../upstream-errors.ts'

export type AnthropicOptions = ProviderIdentity & z.infer<typeof anthropicOptions>

type Headers = Readonly<Record<string, string>>

/** Any server that implements the Messages API: https://platform.claude.com/docs/en/api/messages */
export function anthropic({
  name,
  models,
  baseUrl,
  apiKey,
  keys,
  headers,
  maxTokens,
  ...options
}: AnthropicOptions): Provider {
  const { transport, pathOf, secrets } = connectTo({ name, baseUrl, keys, ...options })
  const path = pathOf('/v1/messages')
  const server = serverAt(baseUrl)
  const countPath = pathOf('/v1/messages/count_tokens')
  const configured = Object.fromEntries(Object.entries(headers).map(([header, value]) => [header.toLowerCase(), value]))

  function upstreamFor(context: AttemptContext) {
    const { connectTimeoutMs, traceHeaders, apiKey: key = apiKey, headers: forwarded = {} } = context
    const signal = stopSignalOf(context)
    const own = toHeaders(key, configured, forwarded)
    return { transport, headers: { ...traceHeaders, ...own }, secrets, signal, connectTimeoutMs }
  }

  return {
    name,
    models,
    wire: 'anthropic',
    vendor: vendorAt(baseUrl, 'anthropic'),
    check(request) {
      const { ignored } = convertRequest(request, maxTokens, server)
      return { ignored }
    },
    stream(request, context) {
      const { body } = convertRequest(request, maxTokens, server)
      return new UpstreamStream({ ...upstreamFor(context), path, body }, new MessageReader())
    },
    async countTokens(request, context) {
      const { headers: own, ...upstream } = upstreamFor(context)
      const body = JSON.stringify(withoutAnswer(convertRequest(request, maxTokens, server).body))
      const sent = { accept: 'application/json', 'content-type': 'application/json', ...own }
      const count = await askFor({ ...upstream, path: countPath, headers: sent, body, wire: 'anthropic' })
      const { input_tokens } = count
      if (typeof input_tokens !== 'number') throw sentInvalid('a count without its number')
      return { ...count, input_tokens }
    },
    listModels: ({ signal, connectTimeoutMs, apiKey: key = apiKey }) =>
      listModels({
        transport,
        path: pathOf('/v1/models'),
        headers: toHeaders(key, configured, {}),
        wire: 'anthropic',
        signal,
        connectTimeoutMs,
      }),
    close: async () => transport.close(),
  }
}

/** Parameters of the answer, which a count does not take. */
const OF_THE_ANSWER = new Set([
  'max_tokens',
  'stream',
  'temperature',
  'top_p',
  'top_k',
  'stop_sequences',
  'metadata',
  'service_tier',
  'container',
  'inference_geo',
])

/** https://platform.claude.com/docs/en/api/messages-count-tokens */
function withoutAnswer(body: Fields): Fields {
  return Object.fromEntries(Object.entries(body).filter(([name]) => !OF_THE_ANSWER.has(name)))
}

/**
 * The client's version replaces the configured one; its betas are added to those configured.
 * https://platform.claude.com/docs/en/api/versioning and https://platform.claude.com/docs/en/api/beta-headers
 */
function toHeaders(key: string | undefined, configured: Headers, forwarded: Headers): Record<string, string> {
  const betas = [configured['anthropic-beta'], forwarded['anthropic-beta']].filter((beta) => beta !== undefined)
  const version = forwarded['anthropic-version']
  return {
    'anthropic-version': '2023-06-01',
    ...(key !== undefined && { 'x-api-key': key }),
    ...configured,
    ...(version !== undefined && { 'anthropic-version': version }),
    ...(betas.length > 0 && { 'anthropic-beta': betas.join(',') }),
  }
}

function serverAt(baseUrl: string): MessagesServer {
  return /(^|\.)anthropic\.com$/.test(new URL(baseUrl).hostname) ? 'anthropic' : 'other'
}
