// What the log says of a failure: which server, which errno, where in the code; never a text that may quote a prompt.

import { isIP } from 'node:net'
import type { SluiceError } from '../errors.ts'
import { peerOf } from '../peers.ts'
import { redactPath, withoutMessage, type ErrorPlace } from './redact.ts'
import type { Logger } from './logger.ts'

/** Why a connection failed. */
export interface Cause {
  /** The class of the error, where it says more than `Error`. */
  type?: string
  /** Of the system, TLS or DNS: `ECONNREFUSED`, `ENOTFOUND`, `CERT_HAS_EXPIRED`. */
  errno?: string
  host?: string | undefined
  port?: number | undefined
  /** The address that was tried, when the host is a name. */
  address?: string
}

/** Codes of Node, OpenSSL and undici; a plugin may put any text there. */
const ERRNO = /^(?:E[A-Z]|CERT_|UNABLE_|DEPTH_|SELF_|HOSTNAME_|INVALID_|UND_|HPE_)[A-Z\d_]{1,60}$/

/** Causes have causes; a cycle must end. */
const MAX_DEPTH = 5

/** The cause of a failed attempt: names and numbers only. Undefined where the failure has none. */
export function describeCause(error: SluiceError): Cause | undefined {
  try {
    const cause: Cause = {}
    let current = error.cause
    for (let depth = 0; depth < MAX_DEPTH && current instanceof Error; depth++) {
      addTo(cause, current)
      current = current.cause
    }
    return Object.values(cause).some((value) => value !== undefined) ? cause : undefined
  } catch {
    return undefined // A getter threw.
  }
}

function addTo(cause: Cause, error: Error): void {
  const fields = new Map<string, unknown>(Object.entries(error))
  const [code, address, port] = ['code', 'address', 'port'].map((name) => fields.get(name))
  const { type } = withoutMessage(error)
  if (type !== 'Error') cause.type ??= type
  const peer = peerOf(error)
  cause.host ??= peer?.host
  cause.port ??= peer?.port ?? (typeof port === 'number' ? port : undefined)
  if (typeof code === 'string' && ERRNO.test(code)) cause.errno ??= code
  if (typeof address === 'string' && isIP(address) !== 0 && address !== cause.host) cause.address ??= address
}

export type DescribeError = (error: unknown) => ErrorPlace

/** Longest message that is logged. */
const MAX_MESSAGE = 1000

/**
 * Describes unexpected errors, such as those of a plugin: by type and stack, and at debug level by their message, too. It
 * may quote a prompt, but no secret of the configuration.
 */
export function errorDescriber(
  logger: Pick<Logger, 'isLevelEnabled'>,
  listSecrets: () => readonly string[],
): DescribeError {
  return (error) => {
    const place = withoutMessage(error)
    if (!logger.isLevelEnabled('debug')) return place
    const message = messageOf(error)
    return message === undefined ? place : { ...place, message: redactMessage(message, listSecrets()) }
  }
}

function messageOf(error: unknown): string | undefined {
  try {
    const message: unknown = error instanceof Error ? error.message : error
    return typeof message === 'string' ? message.slice(0, MAX_MESSAGE) : undefined
  } catch {
    return undefined
  }
}

function redactMessage(message: string, secrets: readonly string[]): string {
  // Longest first: one secret may contain another.
  const known = secrets.toSorted((a, b) => b.length - a.length)
  const redacted = known.reduce((text, secret) => text.replaceAll(secret, '********'), redactPath(message))
  // A terminal would obey them.
  return redacted.replaceAll(/\p{Cc}+/gu, ' ')
}
