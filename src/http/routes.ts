import { Router } from '@koa/router'
import type { Scope } from '../access/caller.ts'
import type { Protocol } from '../protocols/protocol.ts'
import type { RequestMiddleware, RequestState, Services } from './context.ts'
import { cancelStream, readStream } from './handlers/stream-by-id.ts'
import { countTokens } from './handlers/count-tokens.ts'
import { createStream } from './handlers/create-stream.ts'
import { createTicket } from './handlers/create-ticket.ts'
import { forwardRequest } from './handlers/forward-request.ts'
import { getModel, listModels } from './handlers/list-models.ts'
import { gatewayStatus } from './handlers/gateway-status.ts'
import { health, metrics, readiness } from './handlers/operations.ts'
import { protocolRoute } from './handlers/protocol-route.ts'
import { readUsage } from './handlers/usage.ts'
import { playground } from './handlers/playground.ts'
import { authorize } from './middleware/authorize.ts'
import { jsonBody } from './middleware/json-body.ts'

/** Texts to embed may be sent as tokens, each of them a value. */
const MAX_FORWARDED_VALUES = 500_000

/** One URL of the gateway. */
export interface Route {
  readonly method: 'get' | 'post' | 'delete'
  readonly path: string
  /** The scope that a caller needs; `open` needs no caller. */
  readonly access: Scope | 'open'
  /** A ticket for the stream `:id` opens it, too. */
  readonly byTicket?: boolean
  /** For operators: served at ADMIN_PORT only, if there is one. */
  readonly isPrivate?: boolean
  /** Most requests are for it: see `hot-routes.ts`. Its path has no parameter but `:id`, at its end. */
  readonly isHot?: boolean
  readonly handlers: readonly RequestMiddleware[]
}

/** Every URL of the gateway. */
export function listRoutes(services: Services): Route[] {
  const { config, budget, heartbeat, protocols } = services
  const bodies = { limit: config.bodyLimit, budget, heartbeat, slowBodyMs: config.slowReaderMs }
  const body = jsonBody(bodies)
  return [
    { method: 'get', path: '/v1/models', access: 'chat', handlers: [listModels(services)] },
    { method: 'get', path: '/v1/models/{*id}', access: 'chat', handlers: [getModel(services)] },
    {
      method: 'get',
      path: '/v1/streams/:id',
      access: 'read',
      byTicket: true,
      isHot: true,
      handlers: [readStream(services)],
    },
    { method: 'delete', path: '/v1/streams/:id', access: 'cancel', byTicket: true, handlers: [cancelStream(services)] },
    { method: 'post', path: '/v1/streams/:id/tickets', access: 'read', handlers: [body, createTicket(services)] },
    { method: 'get', path: '/v1/status', access: 'read', handlers: [gatewayStatus(services)] },
    { method: 'get', path: '/v1/usage', access: 'read', handlers: [readUsage(services)] },
    { method: 'get', path: '/healthz', access: 'open', handlers: [health()] },
    { method: 'get', path: '/readyz', access: 'open', handlers: [readiness(services)] },
    { method: 'get', path: '/metrics', access: 'metrics', isPrivate: true, handlers: [metrics(services)] },
    ...protocols.rows.flatMap((protocol) => listProtocolRoutes(services, protocol, bodies)),
    ...(config.playground ? listPages() : []),
  ]
}

function listPages(): Route[] {
  const handlers = [playground()]
  return ['/', '/playground/:file', '/client/:file', '/wires/:file'].map((path) => ({
    method: 'get',
    path,
    access: 'open',
    isPrivate: true,
    handlers,
  }))
}

function listProtocolRoutes(services: Services, protocol: Protocol, bodies: Parameters<typeof jsonBody>[0]): Route[] {
  const { createPath, streamRoutes = [], tokenCount, forwards = [] } = protocol
  const body = jsonBody(bodies)
  const forwarded = jsonBody({ ...bodies, maxValues: MAX_FORWARDED_VALUES })
  const post = (path: string, ...handlers: RequestMiddleware[]): Route => ({
    method: 'post',
    path,
    access: 'chat',
    handlers,
  })
  return [
    { ...post(createPath, body, createStream(services, protocol)), isHot: true },
    ...streamRoutes.map((route): Route => ({
      method: route.method,
      path: route.path,
      access: route.action === 'read' ? 'read' : 'cancel',
      handlers: [protocolRoute(services, protocol, route)],
    })),
    ...(tokenCount ? [post(tokenCount.path, body, countTokens(services, tokenCount))] : []),
    ...forwards.map((route) => {
      const handle = forwardRequest(services, route)
      return route.upload ? post(route.path, handle) : post(route.path, forwarded, handle)
    }),
  ]
}

/** Which of the gateway's ports a router is for. */
export type Port = 'public' | 'admin'

/** The routes of a port, each with the check of its caller before its own handlers. */
export function servedRoutes(services: Services, port: Port): Route[] {
  const isHidden = port === 'public' && services.config.adminPort !== undefined
  return listRoutes(services)
    .filter(({ isPrivate }) => !(isPrivate && isHidden))
    .map((route) => {
      const { access, byTicket, handlers } = route
      if (access === 'open') return route
      return { ...route, handlers: [authorize(services, { scope: access, byTicket }), ...handlers] }
    })
}

export function createRouter(routes: readonly Route[]): Router<RequestState> {
  const router = new Router<RequestState>()
  for (const { method, path, handlers } of routes) router[method](path, ...handlers)
  return router
}
