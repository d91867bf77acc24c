import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { Http1Transport } from './http1/http1-transport.ts'
import { proxyFromEnvironment, toProxy, type Proxy } from './proxy.ts'
import type { Transport } from './transport.ts'
import { UndiciTransport } from './undici/undici-transport.ts'
import { ConfigError } from '../../src/errors.ts'
import type { Certificates } from './undici/dial.ts'

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

/** Paths of PEM files. */
interface CertificateFiles {
  ca?: string | undefined
  cert?: string | undefined
  key?: string | undefined
}

/**
 * Reads a provider's certificates. Undefined when it has none.
 *
 * @param place path of the provider in the configuration
 * @throws ConfigError that names the field
 */
function readCertificates(place: string, { ca, cert, key }: CertificateFiles): Certificates | undefined {
  const fault = (field: string, message: string) => new ConfigError([{ path: `${place}.${field}`, message }])

  function read(field: string, file: string | undefined): Buffer | undefined {
    if (file === undefined) return undefined
    try {
      return readFileSync(file)
    } catch (error) {
      throw fault(field, `${file} cannot be read: ${reason(error)}`)
    }
  }

  function check(field: string, message: string, use: () => unknown): void {
    try {
      use()
    } catch (error) {
      throw fault(field, `${message}: ${reason(error)}`)
    }
  }

  if (cert !== undefined && key === undefined) throw fault('key', 'is missing, where cert is set')
  if (key !== undefined && cert === undefined) throw fault('cert', 'is missing, where key is set')
  if (ca === undefined && cert === undefined) return undefined
  const certificates = { ca: read('ca', ca), cert: read('cert', cert), key: read('key', key) }
  // A secure context silently ignores an invalid authority.
  check('ca', `${ca} is not a PEM certificate`, () => certificates.ca && new X509Certificate(certificates.ca))
  check('cert', `${cert} is not a PEM certificate`, () => createSecureContext({ cert: certificates.cert }))
  check('key', `${key} is not the PEM key of the certificate, without a passphrase`, () =>
    createSecureContext(certificates),
  )
  return certificates
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
