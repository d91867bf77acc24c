import type { Protocol } from '../../protocols/protocol.ts'
import type { RequestMiddleware } from '../context.ts'

/** From here on the request's errors are rendered in this protocol. */
export function speak(protocol: Protocol): RequestMiddleware {
  return async (context, next) => {
    context.state.protocol = protocol
    // Where Anthropic's SDK looks for it.
    if (protocol.name === 'anthropic-messages') context.set('request-id', context.state.requestId)
    await next()
  }
}
