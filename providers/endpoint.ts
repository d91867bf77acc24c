import { validateHeaderName, validateHeaderValue } from 'node:http'
import { z } from 'zod'
import { createTransport, type TransportOptions } from './transport/create-transport.ts'
import { toProxy } from './transport/proxy.ts'
import type { Transport } from './transport/transport.ts'
import { querySecrets } from './secrets.ts'

/** The provider's base URL. */
export const baseUrlSchema = z
  .url({ protocol: /^https?$/, abort: true })
  .refine((url) => !hasCredentials(new URL(url)), 'must not contain credentials; use apiKey or headers')

export interface Endpoint {
  transport: Transport
  /** The path of a route below the base URL, with the base URL's query. */
  pathOf: (route: string) => string
  /** Redacted from errors: all keys, the values of the query, and the proxy's password. */
  secrets: readonly string[]
}

/** What the configuration says of a provider, beside the options of its kind. */
export interface ProviderIdentity {
  /** The provider's name in the configuration. */
  name: string
  models?: readonly string[] | undefined
  /** All keys an attempt may use; redacted from errors. */
  keys?: readonly string[] | undefined
}

export interface EndpointOptions extends TransportOptions, Pick<ProviderIdentity, 'name' | 'keys'> {
  baseUrl: string
}

/** @throws ConfigError for a certificate or a proxy that cannot be used */
export function connectTo({ name, baseUrl, keys = [], ...options }: EndpointOptions): Endpoint {
  const url = new URL(baseUrl)
  const { transport, secrets } = createTransport(`providers.${name}`, url, options)
  return {
    transport,
    pathOf(route) {
      const { pathname, search } = endpointAt(baseUrl, route)
      return `${pathname}${search}`
    },
    secrets: [...keys, ...querySecrets(url), ...secrets],
  }
}

/** The URL of a path below the base URL. Keeps the query of the base URL (Azure: `?api-version=…`). */
export function endpointAt(baseUrl: string, path: string): URL {
  const url = new URL(baseUrl)
  url.pathname = `${url.pathname.replace(/\/+$/, '')}${path}`
  return url
}

/** Headers that frame the request; the configuration must not set them. */
const FRAMING = new Set([
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Headers sent with every request to a provider. */
export const headersSchema = z
  .record(z.string().refine(isHeaderName), z.string().refine(isHeaderValue, 'cannot be sent in a header'), {
    error: ({ code }) => (code === 'invalid_key' ? 'is not a header that can be set' : undefined),
  })
  .default({})

/** Connection settings of a provider. */
export const transportOptions = {
  /** Maximum open connections; further requests wait for a free one, up to the connect timeout. */
  maxConnections: z.number().int().positive().optional(),
  /** Path of a PEM file: certificate authorities that are trusted instead of Node's. */
  ca: z.string().min(1).optional(),
  /** Paths of PEM files: the client certificate and its key. */
  cert: z.string().min(1).optional(),
  key: z.string().min(1).optional(),
  /** URL of a proxy, or false to use none. By default HTTPS_PROXY, HTTP_PROXY and NO_PROXY apply. */
  proxy: z
    .union(
      [z.literal(false), z.string().refine((url) => toProxy(url) !== undefined)],
      'expected false or the URL of an HTTP proxy, such as http://proxy.example:3128',
    )
    .optional(),
}

/** An API key. It is sent in a header, so it must be a valid header value. */
export const keySchema = z.string().min(1).refine(isHeaderValue, 'cannot be sent in a header')

function hasCredentials({ username, password }: URL): boolean {
  return username !== '' || password !== ''
}

function isHeaderName(name: string): boolean {
  return !FRAMING.has(name.toLowerCase()) && succeeds(() => validateHeaderName(name))
}

function isHeaderValue(value: string): boolean {
  return succeeds(() => validateHeaderValue('header', value))
}

function succeeds(check: () => void): boolean {
  try {
    check()
    return true
  } catch {
    return false
  }
}
