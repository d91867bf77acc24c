import type { Config } from '../config.ts'
import type { RequestContext } from './context.ts'

/** The start of a path, without `//`, which would be followed by a host, and without a query. */
const PREFIX = /^(?:\/[\w.~%!$&'()*+;=:@-]+)+$/

/**
 * The address of a stream, for its clients: below `PUBLIC_URL`, or below the prefix that a proxy has taken from the
 * path and says so. A path, not relative to the request: clients resolve it against the page, or put their origin before it.
 */
export function streamUrl(context: RequestContext, { publicUrl }: Config, id: string): string {
  return `${publicUrl || forwardedPrefix(context)}/v1/streams/${id}`
}

/** Each proxy in turn adds what it takes: `/a, /b` was `/a/b` to the client. */
function forwardedPrefix(context: RequestContext): string {
  const header = context.get('X-Forwarded-Prefix')
  if (header === '') return ''
  const prefix = header
    .split(',')
    .map((part) => part.trim().replace(/\/$/, ''))
    .join('')
  return PREFIX.test(prefix) ? prefix : ''
}
