import { Router } from '@koa/router'
import type { RequestState } from './context.ts'
import { cancelStream } from './handlers/cancel-stream.ts'
import { anthropicMessages } from '../protocols/anthropic/messages.ts'
import { openaiChat } from '../protocols/openai/chat.ts'
import { createChat } from './handlers/create-chat.ts'
import { createCompletion } from './handlers/create-completion.ts'
import { getModel, listModels } from './handlers/list-models.ts'
import { gatewayStatus } from './handlers/gateway-status.ts'
import { health, metrics, readiness } from './handlers/operations.ts'
import { playground } from './handlers/playground.ts'
import { readStream } from './handlers/read-stream.ts'
import { jsonBody } from './middleware/json-body.ts'
import { speak } from './middleware/speak.ts'
import type { Services } from './services.ts'

/** Every URL of the gateway. */
export function createRoutes(services: Services): Router<RequestState> {
  const { config, budget, heartbeat } = services
  const body = jsonBody({ limit: config.bodyLimit, budget, heartbeat, slowBodyMs: config.slowReaderMs })
  const router = new Router<RequestState>()
    .post('/v1/chat', body, createChat(services))
    .post('/v1/chat/completions', speak(openaiChat), body, createCompletion(services, openaiChat))
    .post('/v1/messages', speak(anthropicMessages), body, createCompletion(services, anthropicMessages))
    .get('/v1/models', listModels(services))
    .get('/v1/models/{*id}', getModel(services))
    .get('/v1/streams/:id', readStream(services))
    .delete('/v1/streams/:id', cancelStream(services))
    .get('/v1/status', gatewayStatus(services))
    .get('/healthz', health())
    .get('/readyz', readiness(services))
    .get('/metrics', metrics(services))
  if (config.playground) router.get(['/', '/playground/:file', '/client/:file'], playground())
  return router
}
