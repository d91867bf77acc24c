// The addresses of streams, as clients reach them.

import type { Config } from '../config.ts'
import type { RequestContext } from './context.ts'

/** A path prefix without a query, and without `//`, which would start a host name. */
const PREFIX = /^(?:\/[\w.~%!$&'()*+;=:@-]+)+$/

/**
 * The URL of a stream for clients: below `PUBLIC_URL`, or below the prefix that a proxy stripped from the path and
 * reports. An absolute path, not relative to the request: clients resolve it against the page, or prepend an origin.
 */
export function streamUrl(context: RequestContext, { publicUrl }: Config, id: string): string {
  return `${publicUrl || forwardedPrefix(context)}/v1/streams/${id}`
}

/** Each proxy appends the prefix that it strips: `/a, /b` was `/a/b` for the client. */
function forwardedPrefix(context: RequestContext): string {
  const header = context.get('X-Forwarded-Prefix')
  if (header === '') return ''
  const prefix = header
    .split(',')
    .map((part) => part.trim().replace(/\/$/, ''))
    .join('')
  return PREFIX.test(prefix) ? prefix : ''
}
