import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { ConfigError } from '../../src/errors.ts'
import type { Certificates } from './undici/dial.ts'

/** Paths of PEM files. */
export interface CertificateFiles {
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
export function readCertificates(place: string, { ca, cert, key }: CertificateFiles): Certificates | undefined {
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
