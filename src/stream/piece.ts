import { SluiceError } from '../errors.ts'
import { toDelta, type PlainField, type StreamEvent } from './events.ts'
import type { AnsweredBy, StreamInfo } from './stream-log.ts'

/** Metadata of a log beside its events, in the order in which it became known. */
export type HeadRecord = { readonly type: 'created'; readonly info: StreamInfo } | AnswerRecord

/** The target that answers was chosen; its events follow. */
export interface AnswerRecord {
  readonly type: 'answered'
  readonly answer: AnsweredBy
}

interface PieceStart {
  /** The seq of its first event. */
  readonly first: number
  /** Became known before its first event, and after the event before that. */
  readonly records?: readonly HeadRecord[]
}

/** One event of any kind. */
export interface EventPiece extends PieceStart {
  readonly event: StreamEvent
}

/** Adjacent deltas that are nothing but text of one field: all of it, and the length of each in UTF-16 units. */
export interface TextPiece extends PieceStart {
  readonly field: PlainField
  readonly text: string
  readonly lengths: readonly number[]
}

/**
 * The unit in which a log is stored and copied: one event, or up to 64 packed texts. Plain JSON. The pieces of a log,
 * appended in order to an empty one, make the same log.
 */
export type Piece = EventPiece | TextPiece

/** The cursor of a reader that has seen the piece. */
export function lastOf(piece: Piece): number {
  return 'event' in piece ? piece.first : piece.first + piece.lengths.length - 1
}

/** @throws SluiceError when the lengths are not those of the text */
export function eventsOf(piece: Piece): StreamEvent[] {
  if ('event' in piece) return [piece.event]
  const { field, text, lengths } = piece
  const events: StreamEvent[] = []
  let from = 0
  for (const length of lengths) {
    events.push(toDelta(field, text.slice(from, from + length)))
    from += length
  }
  const valid = events.length > 0 && from === text.length && lengths.every((length) => length >= 0)
  if (!valid) throw new SluiceError('internal_error', 'The lengths of a piece are not those of its text.')
  return events
}
