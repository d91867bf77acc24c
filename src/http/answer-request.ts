// What the gateway does for every request, beside the work of its route.

import { NOBODY } from '../access/caller.ts'
import { closeAfterResponse } from '../sse/http2.ts'
import type { RequestContext, Services } from './context.ts'
import type { CountRequest } from './middleware/count-requests.ts'
import { checkRouted, renderError } from './middleware/errors.ts'
import { logRequest, traceRequest } from './middleware/observe-requests.ts'
import { clientAddress, setRequestId, useProtocol } from './middleware/request-state.ts'
import { countResponse, prepareResponse } from './middleware/whole-responses.ts'

/** Paths that machines poll. */
const PROBES: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/metrics'])

/** The rest of a request: its route, which may throw. */
export type Rest = () => Promise<unknown> | void

/**
 * Returns a function that runs a request from its first line to a prepared response. One function instead of a middleware
 * for each step: each would cost every request a promise and a closure.
 */
export function requestAnswerer(
  services: Services,
  count: CountRequest,
): (context: RequestContext, rest: Rest) => Promise<void> {
  const { config, protocols, logger, budget, heartbeat } = services
  const sending = { heartbeat, slowReaderMs: config.slowReaderMs }
  // Without a trusted proxy, `context.ip` would parse headers on each request for nothing.
  const addressOf = (context: RequestContext) =>
    config.trustProxy > 0 ? context.ip : (context.req.socket.remoteAddress ?? '')

  return async (context, rest) => {
    const start = performance.now()
    traceRequest(context, PROBES)
    setRequestId(context)
    useProtocol(context, protocols)
    context.state.caller = NOBODY
    context.state.address = addressOf(context)
    context.state.client = clientAddress(context.state.address)
    if (services.draining) closeAfterResponse(context.res)
    try {
      await rest()
      if (context.respond !== false) {
        checkRouted(context)
        countResponse(context, budget, PROBES)
      }
    } catch (thrown) {
      renderError(context, logger, thrown)
    }
    count(context, start)
    logRequest(context, logger, PROBES, start)
    prepareResponse(context, sending)
  }
}
