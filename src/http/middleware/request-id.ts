import { randomUUID } from 'node:crypto'
import type { RequestMiddleware } from '../context.ts'

const SANE = /^[\w.:-]{1,128}$/

/** Takes the caller's `X-Request-Id` if it is fit for a log, else gives the request one; it goes back on the answer. */
export function requestId({ header = 'X-Request-Id' } = {}): RequestMiddleware {
  return async (context, next) => {
    const given = context.get(header)
    context.state.requestId = SANE.test(given) ? given : randomUUID()
    context.set(header, context.state.requestId)
    await next()
  }
}
