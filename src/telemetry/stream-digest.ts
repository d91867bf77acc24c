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

/** Most paths match neither. */
const MAY_HOLD_ID = /str|%/i

/** A percent-encoded ASCII character, encoded once or repeatedly (`%2573`). */
const ENCODED = /%(?:25)*([0-7][\da-f])/gi

/** A path that may be logged: replaces stream ids by their digests, however they are encoded. */
export function redactPath(path: string): string {
  if (!MAY_HOLD_ID.test(path)) return path
  const decoded = path.replace(ENCODED, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
  const redacted = decoded.replace(ID, streamDigest)
  return redacted === decoded ? path : redacted
}
