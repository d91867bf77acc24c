import { validateHeaderName, validateHeaderValue } from 'node:http'
import { z } from 'zod'
import { createTransport, type TransportOptions } from './transport/create-transport.ts'
import { toProxy } from './transport/proxy.ts'
import type { Transport } from './transport/transport.ts'
import { querySecrets } from './secrets.ts'

/** Where a provider is. */
export const baseUrlSchema = z
  .url({ protocol: /^https?$/, abort: true })
  .refine((url) => !hasCredentials(new URL(url)), 'must not contain credentials; use apiKey or headers')

export interface Endpoint {
  transport: Transport
  /** The path of a route below the base URL, with the base URL's query. */
  pathOf: (route: string) => string
  /** What errors must not show: all keys, the values of the query, and the proxy's password. */
  secrets: readonly string[]
}

export interface EndpointOptions extends TransportOptions {
  /** Of the provider, in the configuration. */
  name: string
  baseUrl: string
  keys?: readonly string[] | undefined
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

/** A place below it; a query, as Azure wants one (`?api-version=…`), stays behind the path. */
export function endpointAt(baseUrl: string, path: string): URL {
  const url = new URL(baseUrl)
  url.pathname = `${url.pathname.replace(/\/+$/, '')}${path}`
  return url
}

/** What says how the request itself is framed. */
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

/** What is sent with every request to a provider. */
export const headersSchema = z
  .record(z.string().refine(isHeaderName), z.string().refine(isHeaderValue, 'cannot be sent in a header'), {
    error: ({ code }) => (code === 'invalid_key' ? 'is not a header that can be set' : undefined),
  })
  .default({})

/** How the provider's servers are reached. */
export const transportOptions = {
  /** Connections at a time; further requests wait for one, up to the connect timeout. */
  maxConnections: z.number().int().positive().optional(),
  /** Path of a PEM file: certificates that are trusted in place of Node's. */
  ca: z.string().min(1).optional(),
  /** Paths of PEM files: the client certificate and its key. */
  cert: z.string().min(1).optional(),
  key: z.string().min(1).optional(),
  /** A URL, or false for none; by default HTTPS_PROXY, HTTP_PROXY and NO_PROXY decide. */
  proxy: z
    .union(
      [z.literal(false), z.string().refine((url) => toProxy(url) !== undefined)],
      'expected false or the URL of an HTTP proxy, such as http://proxy.example:3128',
    )
    .optional(),
}

/** What a provider knows its customers by, sent in a header as well. */
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
