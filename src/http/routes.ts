import { Router } from '@koa/router'
import type { RequestState, Services } from './context.ts'
import { cancelStream, readStream } from './handlers/stream-by-id.ts'
import { createStream } from './handlers/create-stream.ts'
import { getModel, listModels } from './handlers/list-models.ts'
import { gatewayStatus } from './handlers/gateway-status.ts'
import { health, metrics, readiness } from './handlers/operations.ts'
import { playground } from './handlers/playground.ts'
import { jsonBody } from './middleware/json-body.ts'

/** Every URL of the gateway. */
export function createRoutes(services: Services): Router<RequestState> {
  const { config, budget, heartbeat, protocols } = services
  const body = jsonBody({ limit: config.bodyLimit, budget, heartbeat, slowBodyMs: config.slowReaderMs })
  const router = new Router<RequestState>()
    .get('/v1/models', listModels(services))
    .get('/v1/models/{*id}', getModel(services))
    .get('/v1/streams/:id', readStream(services))
    .delete('/v1/streams/:id', cancelStream(services))
    .get('/v1/status', gatewayStatus(services))
    .get('/healthz', health())
    .get('/readyz', readiness(services))
    .get('/metrics', metrics(services))
  for (const protocol of protocols.rows) router.post(protocol.createPath, body, createStream(services, protocol))
  if (config.playground) router.get(['/', '/playground/:file', '/client/:file', '/wires/:file'], playground())
  return router
}
