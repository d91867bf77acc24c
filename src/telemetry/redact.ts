// How logs, traces and metrics name streams and errors, without what lets anyone read a stream or quotes a prompt.

import { hash } from 'node:crypto'

/**
 * The name of a stream in logs, traces and metrics: the first 16 hex digits of SHA-256 of its id. An id lets its holder
 * read and stop the stream, so telemetry shows only this digest. To find the lines of an id:
 *
 *     printf %s str_… | sha256sum | cut -c1-16
 *
 * Takes less than a microsecond.
 */
export function streamDigest(id: string): string {
  return hash('sha256', id).slice(0, 16)
}

const ID = /str_[\da-f]+/gi

/** Tickets and keys. They are in a path when a client encodes the `?` before them, or joins texts wrongly. */
const CREDENTIAL = /(?:[rc][\da-z]{1,8}\.|slk_)[\w-]{43}/g

/** Most paths match none. */
const MAY_HOLD_SECRET = /str|%|[\w-]{43}/i

/** A percent-encoded ASCII character, encoded once or repeatedly (`%2573`). */
const ENCODED = /%(?:25)*([0-7][\da-f])/gi

/** A path that may be logged: without credentials, and with digests for ids of streams, however they are encoded. */
export function redactPath(path: string): string {
  if (!MAY_HOLD_SECRET.test(path)) return path
  const decoded = path.replace(ENCODED, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
  const redacted = decoded.replace(ID, streamDigest).replace(CREDENTIAL, '********')
  return redacted === decoded ? path : redacted
}

export interface ErrorPlace {
  type: string
  /** At debug level only. */
  message?: string
  stack?: string
}

/** Class names; any other name may quote text. */
const NAME = /^\w{1,64}$/

/**
 * Type and stack of an error without its message, which may quote a prompt. Plugins create errors, so any property can
 * have any value, and reading it can throw. (`Error.prepareStackTrace` can return anything.)
 */
export function withoutMessage(error: unknown): ErrorPlace {
  try {
    if (!(error instanceof Error)) return { type: typeof error }
    const { name, message, stack } = error
    const type = typeof name === 'string' && NAME.test(name) ? name : 'Error'
    if (typeof stack !== 'string') return { type }
    // Lines of a message can look like frames.
    const lines = stack.replace(message, () => '').split('\n')
    const frames = lines.filter((line) => /^\s+at /.test(line)).join('\n')
    return { type, ...(frames ? { stack: frames } : {}) }
  } catch {
    return { type: 'Error' }
  }
}
