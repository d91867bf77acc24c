import type { z } from 'zod'
import { connectTo, type ProviderIdentity } from '../endpoint.ts'
import type { anthropicOptions } from '../options.ts'
import { MessageReader } from './events.ts'
import { convertRequest, type MessagesServer } from './request.ts'
import type { Provider } from '../provider.ts'
import { listModels } from './list-models.ts'
import { vendorAt } from '../vendors.ts'
import { UpstreamStream } from '../upstream.ts'

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
  const configured = Object.fromEntries(Object.entries(headers).map(([header, value]) => [header.toLowerCase(), value]))
  return {
    name,
    models,
    wire: 'anthropic',
    vendor: vendorAt(baseUrl, 'anthropic'),
    check(request) {
      const { ignored } = convertRequest(request, maxTokens, server)
      return { ignored }
    },
    stream(request, { signal, connectTimeoutMs, traceHeaders, apiKey: key = apiKey, headers: forwarded = {} }) {
      const upstream = {
        transport,
        path,
        headers: { ...traceHeaders, ...toHeaders(key, configured, forwarded) },
        body: convertRequest(request, maxTokens, server).body,
        secrets,
        signal,
        connectTimeoutMs,
      }
      return new UpstreamStream(upstream, new MessageReader())
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
