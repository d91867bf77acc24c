import type { Context } from 'koa'

/** Where a reader says what it has seen: the header or the query parameter, and its value. */
export interface LastEventId {
  path: string
  value: string
}

/** The request of a reader, as Koa describes it. */
export type ReaderRequest = Pick<Context, 'get' | 'query' | 'querystring'>

/** `lastEventId` is event-source-polyfill's: it rewrites it for each connection, whatever else is in the URL. */
const PARAMETERS = ['lastEventId', 'last_event_id']

/**
 * The id of the last event that a reader has seen; undefined when it names none. The header wins: a browser that
 * reconnects sends it, with the URL's parameter still where it was at first.
 *
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#the-last-event-id-header
 */
export function readLastEventId(ctx: ReaderRequest): LastEventId | undefined {
  const header = ctx.get('Last-Event-ID')
  if (header !== '') return { path: 'Last-Event-ID', value: header }
  if (ctx.querystring === '') return undefined
  for (const path of PARAMETERS) {
    const value = [ctx.query[path] ?? ''].flat().join(', ')
    if (value !== '') return { path, value }
  }
  return undefined
}
