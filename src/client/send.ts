import type { HeaderFields, Request } from './requests.ts'

export interface SendOptions {
  baseUrl: string
  headers: HeaderFields | (() => HeaderFields | Promise<HeaderFields>)
  fetch: typeof globalThis.fetch
}

/** Sends a request to the gateway. */
export type Send = (request: Request, signal: AbortSignal) => Promise<Response>

/** @throws TypeError when `baseUrl` is not a URL in this runtime, or a header cannot be sent. */
export function createSend({ baseUrl, headers, fetch }: SendOptions): Send {
  const base = baseUrl.replace(/\/+$/, '')
  // Fails at once for invalid settings, which would otherwise look like a network failure.
  const probe = new globalThis.Request(`${base}/`, typeof headers === 'function' ? {} : { headers })
  // Keeps browsers from caching the streams. Some runtimes lack the option, and one throws for unsupported options.
  const options = 'cache' in probe ? { cache: 'no-store' as const } : {}
  return async ({ path, headers: own, ...request }, signal) => {
    const common = typeof headers === 'function' ? await headers() : headers
    const response = await fetch(base + path, { ...options, ...request, headers: { ...common, ...own }, signal })
    // Chromium accepts a truncated status line, with the digits received so far.
    if (response.status < 200) throw new TypeError('The answer was cut.')
    return response
  }
}
