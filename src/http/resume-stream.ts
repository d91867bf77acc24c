// How a reader resumes: where its cursor is, and what it is sent from there.

import { SluiceError, invalidField } from '../errors.ts'
import type { Position, Protocol, StreamRoute } from '../protocols/protocol.ts'
import { EVENT_STREAM_HEADERS } from '../sse/event-stream.ts'
import type { StreamLog } from '../stream/stream-log.ts'
import type { ResumeResult } from '../telemetry/metrics.ts'
import type { RequestContext, Services } from './context.ts'
import { admitReader, sendStream, setStreamHeaders } from './send-stream.ts'
import type { LastEventId } from '../sse/last-event-id.ts'

/**
 * Sends the events after the reader's cursor in an existing stream, to a `GET` or to a `POST` that joins.
 *
 * @throws SluiceError `invalid_cursor` or `store_full`
 */
export function resumeStream(
  context: RequestContext,
  services: Services,
  log: StreamLog,
  protocol: Protocol,
  { readCursor: readFrom = protocol.readCursor, emptyAtEnd = false }: ReadOptions = {},
): void {
  const position = countInvalid(services, () => readPosition(context, log, protocol, readFrom))
  const cursor = position.seq
  // A reader that reconnects after `done` is an `EventSource`: 204 stops it for good.
  if (log.done && cursor === log.last && !emptyAtEnd) {
    if (context.method !== 'HEAD') countResume(services, 'finished')
    context.status = 204
    return
  }
  if (context.method === 'HEAD') return describeEvents(context, services, log, protocol)
  admitReader(context, services)
  if (cursor > 0 || position.seen !== undefined) countResume(services, 'resumed')
  sendStream(context, services, log, position, protocol)
}

/** The headers of a response that would send events. */
export function describeEvents(context: RequestContext, services: Services, log: StreamLog, protocol: Protocol): void {
  context.set(EVENT_STREAM_HEADERS)
  setStreamHeaders(context, services.config, log, protocol)
  context.status = 200
}

type ReadOptions = Pick<StreamRoute, 'readCursor' | 'emptyAtEnd'>
type CursorReader = NonNullable<StreamRoute['readCursor']>

export function countResume({ metrics }: Services, result: ResumeResult): void {
  metrics.cell('resumes_total', { result }).add()
}

/** Counts a resume of a missing stream and rethrows; for use in `catch`. */
export function countMissing(services: Services, error: unknown): never {
  if (error instanceof SluiceError && error.code === 'stream_expired') countResume(services, 'expired')
  if (error instanceof SluiceError && error.code === 'stream_not_found') countResume(services, 'unknown')
  throw error
}

/** Counts an invalid cursor, and rethrows. */
export function countInvalid<T>(services: Services, read: () => T): T {
  try {
    return read()
  } catch (error) {
    countResume(services, 'invalid')
    throw error
  }
}

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
 * Where a reader of `log` is, at 0 when it has seen nothing. It may be ahead of a running stream, when the reader came
 * from a node with a longer copy of the log: the reader then waits.
 *
 * @throws SluiceError `invalid_cursor`
 */
function readPosition(context: RequestContext, log: StreamLog, protocol: Protocol, readFrom: CursorReader): Position {
  const cursor = readFrom(context, log)
  if (!cursor) return { seq: 0 }
  const { path, value } = cursor
  const { toPosition = (seq: number): Position => ({ seq }) } = protocol
  const position = SEQ.test(value) ? toPosition(Number(value), log) : undefined
  if (position && (!log.done || position.seq <= log.last)) return position
  const bounds = protocol.toPosition ? ', the number of an event' : ` from 0 to ${log.last}, the last event`
  throw invalidField('invalid_cursor', path, `must be a whole number${bounds}`)
}
