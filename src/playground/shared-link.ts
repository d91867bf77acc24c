import type { Fetch } from './gateway-key.ts'
import { isRecord } from './gateway-info.ts'
import type { Memory } from './conversation.ts'

/** The stream that an address of this page names in its fragment, which no request, log or Referer contains. */
export interface Address {
  id: string
  /** Opens the stream to everybody, for reading, until it expires. */
  ticket?: string | undefined
}

/** Undefined when the fragment names no stream. */
export function parseAddress(hash: string): Address | undefined {
  const [, id, ticket] = /^#\/([\w-]+)(?:\?ticket=([\w.-]+))?$/.exec(hash) ?? []
  return id === undefined ? undefined : { id, ticket }
}

export function formatAddress({ id, ticket }: Address): string {
  return ticket === undefined ? `#/${id}` : `#/${id}?ticket=${ticket}`
}

const NAME = 'sluice.ticket'

/** Remembers the ticket of the link that this tab was opened with, so that a reload finds it again. */
export function rememberTicket(memory: Memory, { id, ticket }: Address): string | undefined {
  try {
    if (ticket !== undefined) memory.setItem(NAME, formatAddress({ id, ticket }))
    const remembered = parseAddress(memory.getItem(NAME) ?? '')
    return remembered?.id === id ? remembered.ticket : undefined
  } catch {
    // Nothing may be kept: the link works until a reload.
    return ticket
  }
}

/** `fetch` with a ticket, as a header: in no URL. */
export function fetchWithTicket(ticket: string): Fetch {
  return (input, init = {}) => {
    const headers = new Headers(init.headers)
    headers.set('Sluice-Ticket', ticket)
    return fetch(input, { ...init, headers })
  }
}

export interface Ticket {
  ticket: string
  expires: Date
}

/** A ticket to read this stream of the gateway at this URL. @throws Error that says in words why there is none */
export async function createTicket(fetch: Fetch, gateway: string, id: string): Promise<Ticket> {
  const response = await fetch(new URL(`v1/streams/${id}/tickets`, gateway), {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: '{"scope":"read"}',
  })
  const body: unknown = await response.json().catch(() => undefined)
  if (!isRecord(body) || !response.ok) throw new Error(reasonOf(body, response.status))
  const { ticket, expires } = body
  if (typeof ticket !== 'string' || typeof expires !== 'string') throw new Error('The gateway sent no ticket.')
  return { ticket, expires: new Date(expires) }
}

function reasonOf(body: unknown, status: number): string {
  return isRecord(body) && typeof body.detail === 'string' ? body.detail : `The gateway answered with status ${status}.`
}
