import type { ProtocolTable } from '../../protocols/protocol-table.ts'
import type { RequestMiddleware } from '../context.ts'

/** Chooses the protocol that the request speaks, before anything can fail: its errors are rendered in it. */
export function useProtocol(protocols: ProtocolTable): RequestMiddleware {
  return (context, next) => {
    const { state } = context
    state.protocol = protocols.at(context.path, context.headers)
    if (state.protocol.headers) context.set(state.protocol.headers(state.requestId))
    return next()
  }
}
