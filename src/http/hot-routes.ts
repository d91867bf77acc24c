/**
 * The requests that start and read streams, past Koa's middleware and router: these cost as much as all our own work to
 * open a stream (`bench/measures/opening.ts`). The same functions run in the same order, with a context of the same app.
 * Everything else goes through the app.
 */
import { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type Koa from 'koa'
import { withoutMessage } from '../telemetry/redact.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Rest } from './answer-request.ts'
import type { RequestContext, RequestMiddleware, RequestState } from './context.ts'
import { joins } from './middleware/observe-requests.ts'
import type { Route } from './routes.ts'
import type { Handler } from './server.ts'

interface Parts {
  answer: (context: RequestContext, rest: Rest) => Promise<void>
  /** Before the handlers of any route. */
  checks: readonly RequestMiddleware[]
  logger: Logger
}

interface HotRoute {
  path: string
  run: (context: RequestContext) => Promise<unknown>
}

const PARAMETER = ':id'

export function withHotRoutes(app: Koa<RequestState>, routes: readonly Route[], parts: Parts): Handler {
  const throughApp = app.callback()
  const { answer, checks, logger } = parts
  const find = finder(
    routes.filter(({ isHot }) => isHot).map((route) => ({ ...route, handlers: [...checks, ...route.handlers] })),
  )

  async function serve(request: IncomingMessage, response: ServerResponse, { route, id }: Match): Promise<void> {
    const context = app.createContext<RequestState>(request, response)
    // As the router names them.
    Object.assign(context, { params: { id }, _matchedRoute: route.path })
    // As in the app, until something sets it.
    response.statusCode = 404
    try {
      await answer(context, () => route.run(context))
      respond(context, response)
    } catch (error) {
      logger.error({ ...joins(context), err: withoutMessage(error) }, 'response failed')
      response.destroy()
    }
  }

  return (request, response) => {
    const match = find(request.method, request.url ?? '')
    if (!match || !(request instanceof IncomingMessage) || !(response instanceof ServerResponse))
      return throughApp(request, response)
    // After this turn's reads, a small body has arrived completely.
    setImmediate(() => void serve(request, response, match))
    return undefined
  }
}

interface Match {
  route: HotRoute
  id: string | undefined
}

/** Finds the route of a request by comparing texts: there are few of them. */
function finder(routes: readonly Route[]): (method: string | undefined, url: string) => Match | undefined {
  const exact = new Map<string, Match>()
  const prefixes: { method: string; prefix: string; route: HotRoute }[] = []
  for (const { method, path, handlers } of routes) {
    const route = { path, run: compose(handlers) }
    if (path.endsWith(PARAMETER))
      prefixes.push({ method: method.toUpperCase(), prefix: path.slice(0, -PARAMETER.length), route })
    else exact.set(`${method.toUpperCase()} ${path}`, { route, id: undefined })
  }
  return (method, url) => {
    const found = exact.get(`${method} ${url}`)
    if (found) return found
    const match = prefixes.find((each) => each.method === method && url.startsWith(each.prefix))
    if (!match) return undefined
    const [id = ''] = url.slice(match.prefix.length).split('?', 1)
    // The router knows what other characters mean.
    return /^\w+$/.test(id) ? { route: match.route, id } : undefined
  }
}

function compose(handlers: Route['handlers']): HotRoute['run'] {
  return handlers.reduceRight<HotRoute['run']>(
    (rest, handler) => (context) => handler(context, () => rest(context)),
    async () => {},
  )
}

/** Sends a whole response, as Koa does. An event stream is being sent already. */
function respond(context: RequestContext, response: ServerResponse): void {
  if (context.respond === false) return
  const { body, status } = context
  // The client has gone: `close` follows.
  response.on('error', () => {})
  if (status === 204) {
    context.body = null
    response.end()
  } else if (body instanceof Readable) body.pipe(response)
  else response.end(body)
}
