import Koa from 'koa'
import { listensOnLoopback } from '../access/loopback.ts'
import { isOver } from '../sse/http2.ts'
import { withoutMessage } from '../telemetry/redact.ts'
import { requestAnswerer } from './answer-request.ts'
import type { RequestContext, RequestMiddleware, RequestState, Services } from './context.ts'
import { withHotRoutes } from './hot-routes.ts'
import { allowOrigins, allowedHosts } from './middleware/allowed-origins.ts'
import { requestCounter } from './middleware/count-requests.ts'
import { joins } from './middleware/observe-requests.ts'
import { createRouter, servedRoutes, type Port } from './routes.ts'
import type { Handler } from './server.ts'

/** Creates the Koa app. The middleware runs in the order listed here. */
export function createApp(services: Services, port: Port = 'public'): { app: Koa<RequestState>; handler: Handler } {
  const { config, logger } = services
  const app = new Koa<RequestState>({ proxy: config.trustProxy > 0, maxIpsCount: config.trustProxy })
  const routes = servedRoutes(services, port)
  const router = createRouter(routes)
  const answer = requestAnswerer(services, requestCounter(services.metrics, routes, router))
  const checks = listChecks(services, port)

  app.use((context, next) => answer(context, next))
  for (const check of checks) app.use(check)
  app.use(router.routes())
  app.use(router.allowedMethods())

  app.on('error', (error: unknown, context?: RequestContext) => {
    // The socket broke while a short response was written: the client has gone, so there is nothing to send.
    const request = context && joins(context)
    if (context && isOver(context.res)) logger.debug({ ...request, err: error }, 'response not delivered')
    else logger.error({ ...request, err: withoutMessage(error) }, 'response failed')
  })
  return { app, handler: withHotRoutes(app, routes, { answer, checks, logger }) }
}

/** Of origins, and of hosts where only this machine may use the gateway, or only certain names lead to it. */
function listChecks({ config }: Services, port: Port): RequestMiddleware[] {
  const { allowedHosts: hosts, corsOrigin: origins, corsCredentials: credentials } = config
  const host = port === 'admin' ? config.adminHost : config.host
  return [
    ...(origins.length > 0 ? [allowOrigins(origins, { credentials })] : []),
    ...(listensOnLoopback(host) || hosts.length > 0 ? [allowedHosts({ hosts, origins })] : []),
  ]
}
