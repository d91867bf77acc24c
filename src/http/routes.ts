import { Router } from '@koa/router'
import type { RequestState } from './context.ts'
import { cancelStream } from './handlers/cancel-stream.ts'
import { createChat } from './handlers/create-chat.ts'
import { health, metrics, readiness } from './handlers/operations.ts'
import { readStream } from './handlers/read-stream.ts'
import { jsonBody } from './middleware/json-body.ts'
import type { Services } from './services.ts'

/** Every URL of the gateway. */
export function createRoutes(services: Services): Router<RequestState> {
  const body = jsonBody({ limit: services.config.bodyLimit })
  return new Router<RequestState>()
    .post('/v1/chat', body, createChat(services))
    .get('/v1/streams/:id', readStream(services))
    .delete('/v1/streams/:id', cancelStream(services))
    .get('/healthz', health())
    .get('/readyz', readiness(services))
    .get('/metrics', metrics(services))
}
