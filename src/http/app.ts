import Koa from 'koa'
import { listensOnLoopback } from '../access/loopback.ts'
import { isOver } from '../sse/http2.ts'
import { withoutMessage } from '../telemetry/redact.ts'
import { requestAnswerer } from './answer-request.ts'
import type { RequestContext, RequestState, Services } from './context.ts'
import { withHotRoutes } from './hot-routes.ts'
import { allowOrigins, hostCheck } from './middleware/allowed-origins.ts'
import { createRouter, servedRoutes, type Port } from './routes.ts'
import type { Handler } from './server.ts'

/** Creates the Koa app. The middleware runs in the order listed here. */
export function createApp(services: Services, port: Port = 'public'): { app: Koa<RequestState>; handler: Handler } {
  const { config, logger } = services
  const app = new Koa<RequestState>({ proxy: config.trustProxy > 0, maxIpsCount: config.trustProxy })
  const routes = servedRoutes(services, port)
  const router = createRouter(routes)
  const answer = requestAnswerer(services)
  const checkHost = createHostCheck(services, port)

  app.use((context, next) => answer(context, next))
  if (config.corsOrigin.length > 0) app.use(allowOrigins(config.corsOrigin, { credentials: config.corsCredentials }))
  app.use((context, next) => {
    checkHost(context)
    return next()
  })
  app.use(router.routes())
  app.use(router.allowedMethods())

  app.on('error', (error: unknown, context?: RequestContext) => {
    // The socket broke while a short response was written: the client has gone, so there is nothing to send.
    if (context && isOver(context.res)) logger.debug({ err: error }, 'response not delivered')
    else logger.error({ err: withoutMessage(error) }, 'response failed')
  })
  // Hot routes know nothing of CORS.
  const handler =
    config.corsOrigin.length > 0 ? app.callback() : withHotRoutes(app, routes, { answer, checkHost, logger })
  return { app, handler }
}

/** Of hosts and origins, where only this machine may use the gateway, or only certain names lead to it. */
function createHostCheck({ config }: Services, port: Port): (context: RequestContext) => void {
  const { allowedHosts: hosts, corsOrigin: origins } = config
  const host = port === 'admin' ? config.adminHost : config.host
  return listensOnLoopback(host) || hosts.length > 0 ? hostCheck({ hosts, origins }) : () => {}
}
