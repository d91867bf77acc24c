import type { HeaderFields, Request } from './requests.ts'

export interface SendOptions {
  baseUrl: string
  headers: HeaderFields | (() => HeaderFields | Promise<HeaderFields>)
  fetch: typeof globalThis.fetch
}

/** Sends a request to the gateway. */
export type Send = (request: Request, signal: AbortSignal) => Promise<Response>

/** @throws TypeError when `baseUrl` is no URL for this runtime, or a header cannot be sent. */
export function createSend({ baseUrl, headers, fetch }: SendOptions): Send {
  const base = baseUrl.replace(/\/+$/, '')
  // What can never work is said at once, and not taken for a network that is down.
  const probe = new globalThis.Request(`${base}/`, typeof headers === 'function' ? {} : { headers })
  // A browser would write all that streams by into its cache. Not every runtime has the option, and one refuses what
  // it does not have.
  const options = 'cache' in probe ? { cache: 'no-store' as const } : {}
  return async ({ path, headers: own, ...request }, signal) => {
    const common = typeof headers === 'function' ? await headers() : headers
    const response = await fetch(base + path, { ...options, ...request, headers: { ...common, ...own }, signal })
    // A status line that was cut short is one to Chromium, with the digits that have come.
    if (response.status < 200) throw new TypeError('The answer was cut.')
    return response
  }
}
