import { X509Certificate } from 'node:crypto'
import { readFileSync, unwatchFile, watchFile } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { Config } from '../config.ts'
import { ConfigError } from '../errors.ts'

export interface Certificate {
  cert: Buffer
  key: Buffer
}

/** The settings that name its files. */
export type CertificateFiles = Pick<Config, 'tlsCert' | 'tlsKey'>

/** How often the files of a certificate are looked at. */
const LOOK_MS = 10_000

/** Undefined when no certificate is configured. @throws ConfigError when the configured one cannot be used */
export function readCertificate({ tlsCert, tlsKey }: CertificateFiles): Certificate | undefined {
  if (!tlsCert && !tlsKey) return undefined
  if (!tlsCert) throw fault('TLS_CERT', 'is missing, where TLS_KEY is set')
  if (!tlsKey) throw fault('TLS_KEY', 'is missing, where TLS_CERT is set')
  const cert = read('TLS_CERT', tlsCert)
  const key = read('TLS_KEY', tlsKey)
  check('TLS_CERT', `${tlsCert} is not a PEM certificate`, { cert })
  check('TLS_KEY', `${tlsKey} is not a PEM key without a passphrase that belongs to the certificate`, { cert, key })
  return { cert, key }
}

/** When it is no longer valid, in seconds since 1970. */
export function expiryOf({ cert }: Certificate): number {
  return Date.parse(new X509Certificate(cert).validTo) / 1000
}

/**
 * Calls `onChange` after each change of the files. Polls, since their folder may be a mount that sends no events, and
 * follows symbolic links: certbot and Kubernetes exchange these, and leave the files as they are.
 *
 * @returns a function that ends it
 */
export function watchCertificate(
  { tlsCert, tlsKey }: CertificateFiles,
  onChange: () => void,
  lookMs: number = LOOK_MS,
): () => void {
  const files = [tlsCert, tlsKey].filter((file) => file !== '')
  const listener = () => onChange()
  for (const file of files) watchFile(file, { interval: lookMs, persistent: false }, listener)
  return () => {
    for (const file of files) unwatchFile(file, listener)
  }
}

function read(setting: string, file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw fault(setting, `${file} cannot be read: ${reason(error)}`)
  }
}

function check(setting: string, message: string, options: Partial<Certificate>): void {
  try {
    createSecureContext(options)
  } catch (error) {
    throw fault(setting, `${message}: ${reason(error)}`)
  }
}

function fault(path: string, message: string): ConfigError {
  return new ConfigError([{ path, message }])
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
