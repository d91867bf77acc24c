import { hash } from 'node:crypto'

/**
 * The name of a stream in logs, traces and metrics: the first 16 hex digits of SHA-256 of its id. Whoever knows an id
 * can read and stop the stream, and telemetry has more readers than that. An operator who is given an id finds its
 * lines by
 *
 *     printf %s str_… | sha256sum | cut -c1-16
 *
 * It takes less than a microsecond.
 */
export function streamDigest(id: string): string {
  return hash('sha256', id).slice(0, 16)
}

const ID = /str_[\da-f]+/gi

/** Most paths hold neither. */
const MAY_HOLD_ID = /str|%/i

/** An ASCII character that is percent-encoded, once or again and again (`%2573`). */
const ENCODED = /%(?:25)*([0-7][\da-f])/gi

/** A path as a log may have it: what looks like the id of a stream, however it is encoded, is replaced by its digest. */
export function redactPath(path: string): string {
  if (!MAY_HOLD_ID.test(path)) return path
  const decoded = path.replace(ENCODED, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
  const redacted = decoded.replace(ID, streamDigest)
  return redacted === decoded ? path : redacted
}
