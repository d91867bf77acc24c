import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { Config } from '../config.ts'
import { ConfigError } from '../errors.ts'

export interface Certificate {
  cert: Buffer
  key: Buffer
}

/** Undefined when no certificate is configured. @throws ConfigError when the configured one cannot be used */
export function readCertificate({ tlsCert, tlsKey }: Pick<Config, 'tlsCert' | 'tlsKey'>): Certificate | undefined {
  if (!tlsCert && !tlsKey) return undefined
  if (!tlsCert) throw fault('TLS_CERT', 'is missing, where TLS_KEY is set')
  if (!tlsKey) throw fault('TLS_KEY', 'is missing, where TLS_CERT is set')
  const cert = read('TLS_CERT', tlsCert)
  const key = read('TLS_KEY', tlsKey)
  check('TLS_CERT', `${tlsCert} is not a PEM certificate`, { cert })
  check('TLS_KEY', `${tlsKey} is not a PEM key without a passphrase that belongs to the certificate`, { cert, key })
  return { cert, key }
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
