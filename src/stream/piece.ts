import { SluiceError } from '../errors.ts'
import { isRecord, parseJson } from '../json.ts'
import { isEvent } from './check-event.ts'
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
  /**
   * The seqs before it may have no event: another node ended the stream, and the lost node may have shown events that it
   * had not shared. Their seqs are never used for anything else.
   */
  readonly skips?: true
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

/**
 * How many seqs are skipped before a `done` with `skips`. A node does not write that many events that others do not have:
 * its log would be too large.
 */
export const SKIPPED_SEQS = 1_000_000

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

/**
 * Reads a piece that another node has written.
 *
 * @throws SluiceError `internal_error` when it is none
 */
export function parsePiece(json: string): Piece {
  const piece: unknown = parseJson(json, UNLIMITED)
  if (!isPiece(piece)) throw new SluiceError('internal_error', 'A stored piece of a stream cannot be read.')
  return piece
}

/** The part of a piece after the event `seq`; undefined when there is none. */
export function pieceAfter(piece: Piece, seq: number): Piece | undefined {
  if (seq < piece.first) return piece
  if ('event' in piece || seq >= lastOf(piece)) return undefined
  const { field, text, lengths } = piece
  const skipped = lengths.slice(0, seq - piece.first + 1)
  const from = skipped.reduce((sum, length) => sum + length, 0)
  return { first: seq + 1, field, text: text.slice(from), lengths: lengths.slice(skipped.length) }
}

/** Its size was checked when it was first stored. */
const UNLIMITED = { depth: Infinity, size: Infinity }

/** Whether a value that another node has sent is a piece. */
export function isPiece(value: unknown): value is Piece {
  if (!isRecord(value) || !isCount(value.first)) return false
  if (value.records !== undefined && !(Array.isArray(value.records) && value.records.every(isHeadRecord))) return false
  if (value.event !== undefined) return isEvent(value.event) && (value.skips === undefined || value.skips === true)
  const { field, text, lengths } = value
  const isText = (field === 'content' || field === 'reasoning') && typeof text === 'string'
  return isText && Array.isArray(lengths) && lengths.every(isCount)
}

function isHeadRecord(value: unknown): boolean {
  if (!isRecord(value)) return false
  const { type, info, answer } = value
  if (type === 'created') return isRecord(info) && typeof info.id === 'string'
  return (
    type === 'answered' &&
    isRecord(answer) &&
    typeof answer.provider === 'string' &&
    typeof answer.model === 'string' &&
    isCount(answer.attempts)
  )
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0
}
