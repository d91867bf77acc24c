import { setImmediate as nextTurn } from 'node:timers/promises'
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

/** `GET /metrics`, for Prometheus, in the format that it prefers. */
export function metrics({ metrics: all }: Services): Handler {
  const render = { text: onceATurn(() => all.registry.metrics()), open: onceATurn(() => all.openMetrics.metrics()) }
  return async (context) => {
    const open = prefersOpenMetrics(context.get('Accept'))
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

/** By hand: a scraper gives parameters with the type (`escaping=allow-utf-8`) that differ from version to version. */
function prefersOpenMetrics(accept: string): boolean {
  const weights = new Map<string, number>()
  for (const range of accept.split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    const weight = Number(parameters.find((each) => each.startsWith('q='))?.slice(2) ?? 1)
    weights.set(type, Math.max(weight, weights.get(type) ?? 0))
  }
  const open = weights.get('application/openmetrics-text') ?? 0
  return open > 0 && open >= (weights.get('text/plain') ?? 0)
}
