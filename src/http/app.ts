import Koa from 'koa'
import type { RequestContext, RequestState, Services } from './context.ts'
import { closeAfterResponse, isOver } from '../sse/http2.ts'
import { clientAddress, requestId, useProtocol } from './middleware/request-state.ts'
import { NOBODY } from '../access/caller.ts'
import { listensOnLoopback } from '../access/loopback.ts'
import { allowedHosts, allowOrigins } from './middleware/allowed-origins.ts'
import { countResponses, sendResponses } from './middleware/whole-responses.ts'
import { renderErrors } from './middleware/errors.ts'
import { requestLog, traceRequests } from './middleware/observe-requests.ts'
import { withoutMessage } from '../telemetry/redact.ts'
import { createRoutes, type Port } from './routes.ts'

const PROBES = ['/healthz', '/readyz', '/metrics']

/** Creates the Koa app. The middleware runs in the order listed here. */
export function createApp(services: Services, port: Port = 'public'): Koa<RequestState> {
  const app = new Koa<RequestState>({ proxy: services.config.trustProxy > 0, maxIpsCount: services.config.trustProxy })
  const routes = createRoutes(services, port)

  const { config, heartbeat, budget } = services

  app.use(traceRequests({ quiet: PROBES }))
  app.use(requestId())
  app.use(sendResponses({ heartbeat, slowReaderMs: config.slowReaderMs }))
  app.use(useProtocol(services.protocols))
  // Without a trusted proxy, `context.ip` would parse headers on each request for nothing.
  const addressOf = (context: RequestContext) =>
    config.trustProxy > 0 ? context.ip : (context.req.socket.remoteAddress ?? '')
  app.use((context, next) => {
    context.state.caller = NOBODY
    context.state.client = clientAddress(addressOf(context))
    if (services.draining) closeAfterResponse(context.res)
    return next()
  })
  app.use(requestLog(services.logger, { quiet: PROBES }))
  app.use(renderErrors(services.logger))
  if (config.corsOrigin.length > 0) app.use(allowOrigins(config.corsOrigin, { credentials: config.corsCredentials }))
  const host = port === 'admin' ? config.adminHost : config.host
  if (listensOnLoopback(host) || config.allowedHosts.length > 0)
    app.use(allowedHosts({ hosts: config.allowedHosts, origins: config.corsOrigin }))
  app.use(countResponses(budget, { always: PROBES }))
  app.use(routes.routes())
  app.use(routes.allowedMethods())

  app.on('error', (error: unknown, context?: RequestContext) => {
    // The socket broke while a short response was written: the client has gone, so there is nothing to send.
    if (context && isOver(context.res)) services.logger.debug({ err: error }, 'response not delivered')
    else services.logger.error({ err: withoutMessage(error) }, 'response failed')
  })
  return app
}
