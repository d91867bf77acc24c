import { randomUUID } from 'node:crypto'
import type { RequestMiddleware } from '../context.ts'

const SANE = /^[\w.:-]{1,128}$/

/** Uses the caller's `X-Request-Id` if it is safe to log, else generates one. Sets it on the response. */
export function requestId({ header = 'X-Request-Id' } = {}): RequestMiddleware {
  return async (context, next) => {
    const given = context.get(header)
    context.state.requestId = SANE.test(given) ? given : randomUUID()
    context.set(header, context.state.requestId)
    await next()
  }
}
