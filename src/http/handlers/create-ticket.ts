import { z } from 'zod'
import { TICKET_SCOPES } from '../../access/tickets.ts'
import { invalidRequest, SluiceError } from '../../errors.ts'
import { toFaults } from '../../faults.ts'
import { findNamed } from '../find-stream.ts'
import type { Handler, Services } from '../context.ts'
import { streamUrl } from '../stream-url.ts'

/** A week, in seconds. */
const LONGEST_TTL = 604_800

/** `POST /v1/streams/:id/tickets`: a ticket to share one's stream, `{ticket, url, scope, expires}`. */
export function createTicket(services: Services): Handler {
  const usualTtl = Math.ceil(services.config.ticketTtlMs / 1000)
  const body = z.strictObject({
    scope: z.enum(TICKET_SCOPES).default('read'),
    /** In seconds. */
    ttl: z.number().int().min(1).max(LONGEST_TTL).default(usualTtl),
  })
  return async (context) => {
    const parsed = body.safeParse(context.request.body)
    if (!parsed.success) throw invalidRequest(toFaults(parsed.error.issues))
    const { scope, ttl } = parsed.data
    if (!context.state.caller.principal.scopes.has(scope))
      throw new SluiceError(
        'insufficient_scope',
        `scope: this caller cannot share "${scope}", which it may not do itself.`,
      )
    const { info } = await findNamed(context, services, { id: String(context.params.id) })
    const { ticket, expires } = services.tickets.issue(info.id, scope, ttl * 1000)
    const url = `${streamUrl(context, services.config, info.id)}?ticket=${ticket}`
    context.status = 201
    context.body = { ticket, url, scope, expires: new Date(expires).toISOString() }
  }
}
