import { Http1Transport } from './http1/http1-transport.ts'
import { proxyFromEnvironment, toProxy, type Proxy } from './proxy.ts'
import { readCertificates, type CertificateFiles } from './certificates.ts'
import type { Transport } from './transport.ts'
import { UndiciTransport } from './undici/undici-transport.ts'

export interface TransportOptions extends CertificateFiles {
  maxConnections?: number | undefined
  /** URL of a proxy, or false to use none; by default the environment's proxy settings apply. */
  proxy?: string | false | undefined
}

/**
 * Creates the transport for an origin: our own client, or undici's when a proxy or certificates are needed.
 *
 * @param place path of the provider in the configuration
 * @throws ConfigError
 */
export function createTransport(
  place: string,
  origin: URL,
  { maxConnections, proxy: configured, ...files }: TransportOptions,
): { transport: Transport; secrets: readonly string[] } {
  const proxy = findProxy(origin, configured)
  const certificates = readCertificates(place, files)
  const transport =
    proxy || certificates
      ? new UndiciTransport({ origin, proxy, certificates: certificates ?? {} }, { maxConnections })
      : new Http1Transport(origin, { maxConnections })
  return { transport, secrets: proxy?.secrets ?? [] }
}

function findProxy(origin: URL, configured: TransportOptions['proxy']): Proxy | undefined {
  if (configured === false) return undefined
  return configured === undefined ? proxyFromEnvironment(origin, process.env) : toProxy(configured)
}
