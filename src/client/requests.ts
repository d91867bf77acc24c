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
  throw invalidResponse('No Sluice-Stream-Id came; other origins need it in Access-Control-Expose-Headers.')
}

function pathOf(id: string): string {
  return `/v1/streams/${encodeURIComponent(id)}`
}
