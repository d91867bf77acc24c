import { createTransport, type TransportOptions } from './transport/create-transport.ts'
import type { Transport } from './transport/transport.ts'
import { querySecrets } from './secrets.ts'

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
