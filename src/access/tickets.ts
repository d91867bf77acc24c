// Tickets: signed, expiring capabilities for one stream, for readers that cannot send a key.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { SluiceError } from '../errors.ts'

/** `read`: read the stream; `cancel`: read and stop it. */
export const TICKET_SCOPES = ['read', 'cancel'] as const
export type TicketScope = (typeof TICKET_SCOPES)[number]

/** The rights that a valid ticket gives. */
export interface Grant {
  readonly stream: string
  readonly scope: TicketScope
}

/** Scope, expiry in seconds since 1970 in base 36, and signature. */
const TICKET = /^([rc])([\da-z]{1,8})\.([\w-]{43})$/

const LETTERS = { read: 'r', cancel: 'c' } as const satisfies Record<TicketScope, string>

/** Signs and checks tickets. The stream's id is signed but not repeated: the URL has it. */
export class Tickets {
  readonly #keys: readonly [Buffer, ...Buffer[]]
  readonly #now: () => number

  /** @param secrets the first signs, all are accepted; without any, tickets are valid until the process ends */
  constructor(secrets: readonly string[] = [], now: () => number = Date.now) {
    const [first, ...others] = secrets.map(toKey)
    this.#keys = [first ?? randomBytes(32), ...others]
    this.#now = now
  }

  issue(stream: string, scope: TicketScope, ttlMs: number): { ticket: string; expires: number } {
    const seconds = Math.ceil((this.#now() + ttlMs) / 1000)
    const claims = `${LETTERS[scope]}${seconds.toString(36)}`
    return { ticket: `${claims}.${sign(this.#keys[0], claims, stream)}`, expires: seconds * 1000 }
  }

  /** @throws SluiceError `invalid_ticket` */
  check(ticket: string, stream: string): Grant {
    const [, letter, expiry = '', signature = ''] = TICKET.exec(ticket) ?? []
    const claims = `${letter}${expiry}`
    const isSigned = this.#keys.some((key) => isEqual(signature, sign(key, claims, stream)))
    if (!isSigned) throw new SluiceError('invalid_ticket', 'The ticket is not valid for this stream.')
    if (Number.parseInt(expiry, 36) * 1000 <= this.#now())
      throw new SluiceError('invalid_ticket', 'The ticket has expired.')
    return { stream, scope: letter === LETTERS.cancel ? 'cancel' : 'read' }
  }
}

/** Whatever the secret is used for elsewhere, its tickets have a key of their own. */
function toKey(secret: string): Buffer {
  return createHmac('sha256', secret).update('sluice ticket').digest()
}

function sign(key: Buffer, claims: string, stream: string): string {
  return createHmac('sha256', key).update(`${claims}.${stream}`).digest('base64url')
}

/** Compares texts: four texts decode to the same bytes, and only one of them was issued. Both are ASCII. */
function isEqual(given: string, expected: string): boolean {
  return given.length === expected.length && timingSafeEqual(Buffer.from(given), Buffer.from(expected))
}
