import { invalidField, type SluiceError } from '../errors.ts'
import type { StreamLog } from '../stream/stream-log.ts'
import type { RequestContext } from './context.ts'

/** A cursor as its reader sent it. */
export interface GivenCursor {
  /** The header or the query parameter that holds it. */
  path: string
  value: string
}

/** `lastEventId` is event-source-polyfill's: it rewrites it for each connection, whatever else is in the URL. */
const PARAMETERS = ['lastEventId', 'last_event_id']

/**
 * What a request says that its reader has seen; undefined when that is nothing. The header wins: a browser that
 * reconnects sends it, with the URL's parameter still where it was at first.
 */
export function givenCursor(context: RequestContext): GivenCursor | undefined {
  const header = context.get('Last-Event-ID')
  if (header !== '') return { path: 'Last-Event-ID', value: header }
  if (context.querystring === '') return undefined
  for (const path of PARAMETERS) {
    const value = [context.query[path] ?? ''].flat().join(', ')
    if (value !== '') return { path, value }
  }
  return undefined
}

/** Whether a cursor is the beginning of the stream. */
export function isBeginning(cursor: GivenCursor | undefined): boolean {
  return cursor === undefined || /^0+$/.test(cursor.value)
}

/**
 * The seq of the last event that a reader of `log` has seen; 0 when it has seen none. It may be ahead of a stream that
 * runs: the reader waits then, for it may have read the stream where more of it was known.
 *
 * @throws SluiceError `invalid_cursor`
 */
export function readCursor(context: RequestContext, log: StreamLog): number {
  const cursor = givenCursor(context)
  if (!cursor) return 0
  if (!/^\d{1,15}$/.test(cursor.value)) throw invalidCursor(cursor, log)
  const seq = Number(cursor.value)
  if (log.done && seq > log.last) throw invalidCursor(cursor, log)
  return seq
}

function invalidCursor({ path }: GivenCursor, { last }: StreamLog): SluiceError {
  return invalidField('invalid_cursor', path, `must be a whole number from 0 to ${last}, the last event`)
}
