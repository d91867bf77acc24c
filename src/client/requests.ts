import { invalidResponse } from './client-error.ts'

export type HeaderFields = Readonly<Record<string, string>>

export interface Request {
  method: 'POST' | 'GET' | 'DELETE'
  path: string
  headers: HeaderFields
  body?: string
}

const ACCEPT = { Accept: 'text/event-stream' }

/** The same `key` joins the stream that was created with it, so a request whose response was lost can be sent again. */
export function createRequest(body: string, key: string): Request {
  const headers = { ...ACCEPT, 'Content-Type': 'application/json', 'Idempotency-Key': key }
  return { method: 'POST', path: '/v1/chat', headers, body }
}

export function resumeRequest(id: string, after: number): Request {
  return { method: 'GET', path: pathOf(id), headers: after ? { ...ACCEPT, 'Last-Event-ID': String(after) } : ACCEPT }
}

export function deleteRequest(id: string): Request {
  return { method: 'DELETE', path: pathOf(id), headers: {} }
}

/**
 * @throws SluiceClientError `invalid_response`: fails early, since a stream without an id could not be resumed later
 */
export function readStreamId({ headers }: Response): string {
  const id = headers.get('sluice-stream-id')
  if (id) return id
  throw invalidResponse('No Sluice-Stream-Id came (Access-Control-Expose-Headers?)')
}

/** How often the gateway sends a heartbeat on a silent connection, in milliseconds; NaN or 0 when it does not say. */
export function readHeartbeat({ headers }: Response): number {
  return Number(headers.get('sluice-heartbeat'))
}

/**
 * Of a URL only the stream's id and the query, which may hold a ticket: the client's key goes to no other host and no
 * other path, wherever the URL comes from.
 */
function pathOf(stream: string): string {
  return `/v1/streams/${/[\w-]*(\?.*)?$/.exec(stream)?.[0]}`
}

export interface SendOptions {
  baseUrl: string
  headers: HeaderFields | (() => HeaderFields | Promise<HeaderFields>)
  fetch: typeof globalThis.fetch
}

/** Sends a request to the gateway. */
export type Send = (request: Request, signal: AbortSignal) => Promise<Response>

/**
 * Also returns the gateway's whole URL, for messages.
 *
 * @throws TypeError when `baseUrl` is not a URL in this runtime, or a header cannot be sent.
 */
export function createSend({ baseUrl, headers, fetch }: SendOptions): { send: Send; gateway: string } {
  const base = baseUrl.replace(/\/+$/, '')
  // Fails at once for invalid settings, which would otherwise look like a network failure.
  const probe = new globalThis.Request(`${base}/`, typeof headers === 'function' ? {} : { headers })
  // Keeps browsers from caching the streams. Some runtimes lack the option, and one throws for unsupported options.
  const options = 'cache' in probe ? { cache: 'no-store' as const } : {}
  const send: Send = async ({ path, headers: own, ...request }, signal) => {
    const common = typeof headers === 'function' ? await headers() : headers
    const response = await fetch(base + path, { ...options, ...request, headers: { ...common, ...own }, signal })
    // Chromium accepts a truncated status line, with the digits received so far.
    if (response.status < 200) throw new TypeError('The answer was cut.')
    return response
  }
  return { send, gateway: probe.url }
}

/** Creates a random, unique key. Not with `randomUUID`, which pages that were not served over HTTPS lack. */
export function createIdempotencyKey(): string {
  return crypto.getRandomValues(new BigUint64Array(2)).join('-')
}
