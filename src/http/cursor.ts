import { invalidField } from '../errors.ts'
import type { Protocol } from '../protocols/protocol.ts'
import type { LastEventId } from '../sse/last-event-id.ts'
import type { StreamLog } from '../stream/stream-log.ts'
import type { RequestContext } from './context.ts'

/** At most 15 digits: a JavaScript number holds them exactly. */
const SEQ = /^\d{1,15}$/

/** Whether a cursor is the beginning of the stream. */
export function isBeginning(cursor: LastEventId | undefined): boolean {
  return cursor === undefined || (SEQ.test(cursor.value) && Number(cursor.value) === 0)
}

/** @throws SluiceError `invalid_cursor`, when the cursor could belong to no stream */
export function checkSyntax({ path, value }: LastEventId): void {
  if (!SEQ.test(value)) throw invalidField('invalid_cursor', path, 'must be a whole number, the id of an event')
}

/**
 * The seq of the last event that a reader of `log` has seen; 0 when it has seen none. It may be ahead of a running
 * stream, when the reader came from a node with a longer copy of the log: the reader then waits.
 *
 * @throws SluiceError `invalid_cursor`
 */
export function readCursor(context: RequestContext, log: StreamLog, protocol: Protocol): number {
  const cursor = protocol.readCursor(context)
  if (!cursor) return 0
  const { path, value } = cursor
  const seq = Number(value)
  if (SEQ.test(value) && (!log.done || seq <= log.last)) return seq
  throw invalidField('invalid_cursor', path, `must be a whole number from 0 to ${log.last}, the last event`)
}
