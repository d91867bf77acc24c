// Finds the caller of a request, and checks that it may use the route.

import { isUser, toCaller, USER_FORM, type Caller, type Scope } from '../../access/caller.ts'
import type { Grant, TicketScope } from '../../access/tickets.ts'
import { invalidField, SluiceError } from '../../errors.ts'
import { recordOrEmpty } from '../../json.ts'
import type { Protocol } from '../../protocols/protocol.ts'
import type { RequestContext, RequestMiddleware, Services } from '../context.ts'

/** The end user for whom a key acts: as a header, and as a path in the body. */
const USER_HEADER = 'Sluice-User'
const USER_PATH: readonly string[] = ['user']

/** As a parameter of the URL, for `EventSource`, and as a header. */
const TICKET_PARAMETER = 'ticket'
const TICKET_HEADER = 'Sluice-Ticket'

export interface RouteAccess {
  scope: Scope
  /** A ticket for the stream that the path names by `:id` opens the route, too. */
  byTicket?: boolean | undefined
}

/**
 * Sets the request's caller, or refuses the request: before its body is read, and in the protocol of its path.
 *
 * Not async: a request with an API key needs no promise.
 */
export function authorize(services: Services, { scope, byTicket = false }: RouteAccess): RequestMiddleware {
  const { authenticator, protocols } = services
  return (context, next) => {
    const credentials = readCredentials(context, protocols.keyHeaders)
    const grant = byTicket ? checkTicket(context, services, credentials.length > 0) : undefined
    if (grant && covers(grant.scope, scope)) {
      context.state.ticket = grant
      return next()
    }
    // A ticket takes away none of the rights that the caller has without it.
    if (grant && credentials.length === 0 && authenticator.guards(scope)) throw insufficient(scope, 'The ticket')
    const caller = authenticator.identify(credentials, scope)
    if (!(caller instanceof Promise)) return proceedAs(context, caller, scope, next)
    return caller.then((verified) => proceedAs(context, verified, scope, next))
  }
}

function proceedAs(
  context: RequestContext,
  caller: Caller,
  scope: Scope,
  next: () => Promise<unknown>,
): Promise<unknown> {
  const { principal } = caller
  const { state } = context
  state.caller = caller
  if (!principal.scopes.has(scope)) throw insufficient(scope, 'This caller')
  // Not its users, whose names it chooses: with many of them it would take all the memory.
  if (!principal.isAnonymous) state.client = caller.owner
  state.caller = actFor(caller, context.get(USER_HEADER))
  return next()
}

/** The caller on behalf of an end user. @throws SluiceError */
function actFor(caller: Caller, user: string): Caller {
  const { principal } = caller
  if (user === '' || principal.isAnonymous) return caller
  if (!principal.actsForUsers)
    throw new SluiceError('insufficient_scope', `${USER_HEADER}: this caller does not act for users.`)
  const name = decodeHeader(user)
  if (!isUser(name)) throw invalidField('invalid_request', USER_HEADER, `must be ${USER_FORM}, in UTF-8`)
  return toCaller(principal, name)
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Node decodes headers as Latin-1, so "é" would be another user than in a body, and the same as "Ã©" there. */
function decodeHeader(value: string): string | undefined {
  if (/^[\x20-\x7e]*$/.test(value)) return value
  try {
    return UTF8.decode(Buffer.from(value, 'latin1'))
  } catch {
    return undefined
  }
}

/** The caller on behalf of the user in the body, unless a header has named one. @throws SluiceError */
export function actForUserOf({ state, request }: RequestContext, { userPath = USER_PATH }: Protocol): Caller {
  const { caller } = state
  const { principal } = caller
  if (caller.user !== undefined || !principal.actsForUsers) return caller
  const user = userPath.reduce<unknown>((value, name) => recordOrEmpty(value)[name], request.body)
  if (typeof user !== 'string' || user === '') return caller
  if (!isUser(user)) throw invalidField('invalid_request', userPath.join('.'), `must be ${USER_FORM}`)
  return toCaller(principal, user)
}

/** Keys that the request carries, in the places where clients put them. */
function readCredentials({ req: { headers } }: RequestContext, keyHeaders: readonly string[]): string[] {
  const credentials: string[] = []
  const [, bearer] = /^bearer +(\S+) *$/i.exec(headers.authorization ?? '') ?? []
  if (bearer !== undefined) credentials.push(bearer)
  for (const name of keyHeaders) {
    const value = headers[name]
    if (typeof value === 'string' && value !== '') credentials.push(value.trim())
  }
  return credentials
}

/**
 * What the request's ticket allows; undefined without one. A request with a key, too, does not depend on its ticket: the
 * URL in a client's hands may be older than the ticket is valid.
 *
 * @throws SluiceError `invalid_ticket`
 */
function checkTicket(context: RequestContext, { tickets }: Services, hasKey: boolean): Grant | undefined {
  const given = context.querystring.includes(TICKET_PARAMETER) ? context.query[TICKET_PARAMETER] : undefined
  const ticket = given === undefined ? context.get(TICKET_HEADER) : String(given)
  if (ticket === '') return undefined
  // The page of a shared link, or its links, must not tell others where it came from.
  context.set('Referrer-Policy', 'no-referrer')
  try {
    return tickets.check(ticket, String(context.params.id))
  } catch (error) {
    if (hasKey) return undefined
    throw error
  }
}

function covers(ticket: TicketScope, scope: Scope): boolean {
  return scope === 'read' || scope === ticket
}

function insufficient(scope: Scope, who: string): SluiceError {
  return new SluiceError('insufficient_scope', `${who} lacks the scope "${scope}", which this request needs.`)
}
