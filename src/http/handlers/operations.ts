import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Handler, Services } from '../context.ts'
import { preferredType } from '../../media-types.ts'

/** `GET /healthz`: the process responds. */
export function health(): Handler {
  return (context) => {
    context.body = { status: 'ok' }
  }
}

/**
 * `GET /readyz`: whether a load balancer should send new requests here. `store` is `down` while
 * the store that nodes share cannot be reached.
 */
export function readiness(services: Services): Handler {
  const { config, backplane } = services
  return (context) => {
    const store = backplane && (backplane.isUp ? 'up' : 'down')
    const isRefusing = store === 'down' && config.storeDown === 'refuse'
    const status = services.draining ? 'draining' : isRefusing ? 'store_unavailable' : 'ready'
    context.status = status === 'ready' ? 200 : 503
    context.body = { status, ...(store === 'down' && { store }) }
  }
}

const OPEN_METRICS = 'application/openmetrics-text'
const FORMATS = ['text/plain', OPEN_METRICS] as const

/** `GET /metrics`, for Prometheus, in the format that it prefers. */
export function metrics({ metrics: all, sumMetrics }: Services): Handler {
  const render = {
    text: onceATurn(() => sumMetrics?.(false) ?? all.registry.metrics()),
    open: onceATurn(() => sumMetrics?.(true) ?? all.openMetrics.metrics()),
  }
  return async (context) => {
    // Not `negotiate`: a scraper that accepts neither still gets the text format.
    const open = preferredType(context.get('Accept'), FORMATS) === OPEN_METRICS
    context.set('Content-Type', (open ? all.openMetrics : all.registry).contentType)
    context.vary('Accept')
    context.body = await render[open ? 'open' : 'text']()
  }
}

/** Requests of one turn share one rendering, which takes milliseconds. */
function onceATurn(make: () => Promise<string>): () => Promise<string> {
  let next: Promise<string> | undefined
  return () =>
    (next ??= nextTurn().then(() => {
      next = undefined
      return make()
    }))
}
