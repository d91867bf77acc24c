import type { Handler } from '../context.ts'
import type { Services } from '../services.ts'

/** `GET /healthz`: the process answers. */
export function health(): Handler {
  return (context) => {
    context.body = { status: 'ok' }
  }
}

/** `GET /readyz`: whether new work should be sent here. */
export function readiness(services: Services): Handler {
  return (context) => {
    context.status = services.draining ? 503 : 200
    context.body = { status: services.draining ? 'draining' : 'ready' }
  }
}

/** `GET /metrics`, for Prometheus. */
export function metrics({ metrics: all }: Services): Handler {
  return async (context) => {
    context.type = all.registry.contentType
    context.body = await all.text()
  }
}
