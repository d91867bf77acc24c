import { validateHeaderName, validateHeaderValue } from 'node:http'
import { z } from 'zod'
import { Http1Transport } from './transport/http1/http1-transport.ts'
import type { Transport } from './transport/transport.ts'
import { querySecrets } from './secrets.ts'

/** Where a provider is. */
export const baseUrlSchema = z
  .url({ protocol: /^https?$/, abort: true })
  .refine((url) => !hasCredentials(new URL(url)), 'holds credentials, which belong into apiKey or headers')

export interface Endpoint {
  transport: Transport
  /** The path of a route below the base URL, with the base URL's query. */
  pathOf: (route: string) => string
  /** What errors must not show: all keys, and the values of the query. */
  secrets: readonly string[]
}

export interface EndpointOptions {
  baseUrl: string
  keys?: readonly string[] | undefined
  maxConnections?: number | undefined
}

export function connectTo({ baseUrl, keys = [], maxConnections }: EndpointOptions): Endpoint {
  const url = new URL(baseUrl)
  return {
    transport: new Http1Transport(url, { maxConnections }),
    pathOf(route) {
      const { pathname, search } = endpointAt(baseUrl, route)
      return `${pathname}${search}`
    },
    secrets: [...keys, ...querySecrets(url)],
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
    error: ({ code }) => (code === 'invalid_key' ? 'is no name of a header that can be set' : undefined),
  })
  .default({})

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
