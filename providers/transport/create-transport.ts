import { Http1Transport } from './http1/http1-transport.ts'
import { proxyFromEnvironment, toProxy, type Proxy } from './proxy.ts'
import { readCertificates, type CertificateFiles } from './certificates.ts'
import type { Transport } from './transport.ts'
import { UndiciTransport } from './undici/undici-transport.ts'

export interface TransportOptions extends CertificateFiles {
  maxConnections?: number | undefined
  /** A URL, or false for none; by default what the environment says. */
  proxy?: string | false | undefined
}

/**
 * The transport for an origin: our own client, unless its settings or the environment want what only undici does.
 *
 * @param place of the provider in the configuration
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
