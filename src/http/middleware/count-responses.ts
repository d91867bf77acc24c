import { Hold, type Budget } from '../../store/budget.ts'
import type { RequestMiddleware } from '../context.ts'

export interface CountResponsesOptions {
  /** Paths that get their response even when the memory is full. */
  always?: readonly string[]
}

/** Renders JSON inside the error boundary, and counts the memory of a whole response until it has been sent. */
export function countResponses(budget: Budget, { always = [] }: CountResponsesOptions = {}): RequestMiddleware {
  return async (context, next) => {
    await next()
    const { body, state } = context
    if (typeof body === 'object' && body !== null && !Buffer.isBuffer(body)) context.body = JSON.stringify(body)
    if (!context.length) return
    if (state.unread) return state.unread.resize('responses', context.length)
    state.unread = always.includes(context.path)
      ? new Hold(budget, 'responses', state.client, context.length)
      : budget.hold('responses', state.client, context.length)
  }
}
