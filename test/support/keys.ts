import { keySchema, type KeyConfig } from '../../src/access/access-schema.ts'

export const KEY = 'slk_test'

const OTHER = { name: 'other', key: 'key-of-other' }

/** Settings of a gateway that needs a key: `KEY`, of the caller `app`. */
export function withKeys(...others: Partial<KeyConfig>[]): { keys: KeyConfig[] } {
  return { keys: [{ name: 'app', key: KEY }, ...others].map((each) => keySchema.parse(each)) }
}

export const bearer = (key = KEY) => ({ authorization: `Bearer ${key}` })

/** The headers of a request with a key, for one of its users. */
export function as(user?: string, key = KEY): { headers: Record<string, string> } {
  return { headers: { ...bearer(key), ...(user !== undefined && { 'sluice-user': user }) } }
}

/** Settings with `KEY`, and with a key of another caller, who has no limits. */
export function withKey(grant: Partial<KeyConfig>): { keys: KeyConfig[] } {
  return { keys: [{ name: 'app', key: KEY, ...grant }, OTHER].map((each) => keySchema.parse(each)) }
}

interface Ticket {
  ticket: string
  url: string
  scope: string
  expires: string
}

/** A ticket for a stream of this caller, as its back end gets it. */
export async function createTicket(
  url: string,
  id: string,
  body: { scope?: 'read' | 'cancel'; ttl?: number } = {},
  headers: Record<string, string> = bearer(),
): Promise<Ticket> {
  const response = await fetch(`${url}/v1/streams/${id}/tickets`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(await response.text())
  return (await response.json()) as Ticket
}

/** Starts a stream as a back end does: it has the key, and hands on the URL, which has a ticket. */
export async function startInBackground(url: string, model = 'scripted'): Promise<{ id: string; url: string }> {
  const response = await fetch(`${url}/v1/chat`, {
    method: 'POST',
    headers: { ...bearer(), 'content-type': 'application/json', prefer: 'respond-async' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hi' }] }),
  })
  if (!response.ok) throw new Error(await response.text())
  return (await response.json()) as { id: string; url: string }
}
