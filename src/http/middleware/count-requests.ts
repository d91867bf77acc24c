import { observeHttp } from '../../telemetry/observe-http.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { isOver } from '../../sse/http2.ts'
import type { RequestContext } from '../context.ts'
import type { createRouter, Route } from '../routes.ts'

/** As in the table of errors, for `cancelled`. */
const CLIENT_CLOSED_REQUEST = 499

export type CountRequest = (context: RequestContext, startedAt: number) => void

/** Counts each request by its route, also one that was refused before the router saw it. */
export function requestCounter(
  metrics: Metrics,
  routes: readonly Route[],
  router: Pick<ReturnType<typeof createRouter>, 'match'>,
): CountRequest {
  const count = observeHttp(metrics, routes)
  return (context, startedAt) => {
    const { method, res, status, _matchedRoute: matched } = context
    const route = typeof matched === 'string' ? matched : templateOf(router, context)
    count(route, method, !res.headersSent && isOver(res) ? CLIENT_CLOSED_REQUEST : status, startedAt)
  }
}

/** The route of the path, whatever the method; undefined where there is none. */
function templateOf(router: Pick<ReturnType<typeof createRouter>, 'match'>, { path, method }: RequestContext) {
  const template = router.match(path, method).path[0]?.path
  return typeof template === 'string' ? template : undefined
}
