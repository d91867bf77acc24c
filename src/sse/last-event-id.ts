/** A reader's last event id: its source (the header or the query parameter) and its value. */
export interface LastEventId {
  path: string
  value: string
}

/** The request of a reader, as Koa describes it. */
export interface ReaderRequest {
  readonly query: Readonly<Record<string, string | string[] | undefined>>
  readonly querystring: string
  get(header: string): string
}

/** event-source-polyfill sends `lastEventId` and updates it for each connection, whatever else is in the URL. */
const PARAMETERS = ['lastEventId', 'last_event_id']

/**
 * The id of the last event that a reader has seen; undefined when it sends none. The header takes precedence: a browser
 * that reconnects sends it, while the URL still has its original parameter.
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
