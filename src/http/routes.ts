import { Router } from '@koa/router'
import type { RequestState, Services } from './context.ts'
import { cancelStream, readStream } from './handlers/stream-by-id.ts'
import { countTokens } from './handlers/count-tokens.ts'
import { createStream } from './handlers/create-stream.ts'
import { forwardRequest } from './handlers/forward-request.ts'
import { getModel, listModels } from './handlers/list-models.ts'
import { gatewayStatus } from './handlers/gateway-status.ts'
import { health, metrics, readiness } from './handlers/operations.ts'
import { protocolRoute } from './handlers/protocol-route.ts'
import { playground } from './handlers/playground.ts'
import { jsonBody } from './middleware/json-body.ts'

/** Texts to embed may be sent as tokens, each of them a value. */
const MAX_FORWARDED_VALUES = 500_000

/** Every URL of the gateway. */
export function createRoutes(services: Services): Router<RequestState> {
  const { config, budget, heartbeat, protocols } = services
  const bodies = { limit: config.bodyLimit, budget, heartbeat, slowBodyMs: config.slowReaderMs }
  const body = jsonBody(bodies)
  const forwarded = jsonBody({ ...bodies, maxValues: MAX_FORWARDED_VALUES })
  const router = new Router<RequestState>()
    .get('/v1/models', listModels(services))
    .get('/v1/models/{*id}', getModel(services))
    .get('/v1/streams/:id', readStream(services))
    .delete('/v1/streams/:id', cancelStream(services))
    .get('/v1/status', gatewayStatus(services))
    .get('/healthz', health())
    .get('/readyz', readiness(services))
    .get('/metrics', metrics(services))
  for (const protocol of protocols.rows) {
    const { createPath, streamRoutes = [], tokenCount, forwards = [] } = protocol
    router.post(createPath, body, createStream(services, protocol))
    for (const route of streamRoutes) router[route.method](route.path, protocolRoute(services, protocol, route))
    if (tokenCount) router.post(tokenCount.path, body, countTokens(services, tokenCount))
    for (const route of forwards) {
      const handle = forwardRequest(services, route)
      if (route.upload) router.post(route.path, handle)
      else router.post(route.path, forwarded, handle)
    }
  }
  if (config.playground) router.get(['/', '/playground/:file', '/client/:file', '/wires/:file'], playground())
  return router
}
