import { SluiceError } from '../errors.ts'
import { afterThisTurn, throwLater } from './event-loop.ts'
import { EventList } from './event-list.ts'
import { measureEvent, type EventSize } from './check-event.ts'
import { mergeDeltas, type Done, type SequencedEvent, type StreamEvent } from './events.ts'
import { eventsOf, type HeadRecord, type Piece } from './piece.ts'
import { ReaderCount } from './readers.ts'

/** Identity and metadata of a stream; fixed at its creation. */
export interface StreamInfo {
  readonly id: string
  /** The identity that created the stream; only it can find the stream. */
  readonly owner: string
  readonly model: string
  readonly provider: string
  /** Milliseconds since the epoch. */
  readonly created: number
  /** Name of the protocol that created it. */
  readonly protocol?: string | undefined
  /** Details of the request that the creating protocol needs later. */
  readonly labels?: Readonly<Record<string, string>> | undefined
}

/** Which target answered, and how many attempts were made, over all targets, until it did. */
export interface AnsweredBy {
  readonly provider: string
  readonly model: string
  readonly attempts: number
}

/** An appended answer; a linked list, as most logs have only one. */
interface Answered {
  readonly answer: AnsweredBy
  /** The seq of the event after it. */
  readonly first: number
  readonly before: Answered | undefined
}

/** The callbacks of a log to the store that keeps it. */
export interface LogKeeper {
  /** Before an event of `bytes` is kept; throws a `SluiceError` to refuse it. A `final` one may not be refused. */
  admit(log: StreamLog, bytes: number, final: boolean): void
  /** Memory that the log's upstream makes the process hold has changed by so much; throws to refuse it. */
  held(log: StreamLog, change: number): void
  /** Once, right after `done` is in the log. */
  ended(log: StreamLog): void
}

/** `since` is the arrival time (`performance.now()`) of the first event that the reader is woken for. */
export type Wake = (since: number) => void

/** The next events after a reader's cursor, with adjacent deltas merged. Never empty. */
export interface Batch {
  readonly events: SequencedEvent[]
  /** The cursor of a reader that has seen this batch. */
  readonly last: number
  /** How many events went into the batch: `events.length` plus those that were merged away. */
  readonly count: number
}

/**
 * A batch ends at this size, in characters of texts and estimated bytes of other events. This bounds the data that
 * waits in a full socket, however far behind its reader is.
 */
const BATCH_SIZE = 16_384

/** Most events in a batch: texts of different fields do not merge, and may be empty, so `BATCH_SIZE` is not enough. */
const BATCH_EVENTS = 256

/** What a log costs before its first event. */
export const EMPTY_LOG_BYTES = 1024

/** Labels and what is kept of the request may be large: callers choose them. */
export function emptyLogBytes({ labels }: Pick<StreamInfo, 'labels'>, kept = ''): number {
  let characters = kept.length
  if (labels) for (const label of Object.values(labels)) characters += label.length
  return EMPTY_LOG_BYTES + 2 * characters
}

/**
 * The append-only log of one generation. Event `seq` is at `seq - 1` of the list; nothing ever changes or leaves.
 *
 * Its head is `info`, fixed from the creation, and `answer`, which is appended. A log is written by its generation
 * (`append`), or it follows another with `appendPiece`: then it reads the same, from every cursor.
 */
export class StreamLog {
  readonly info: StreamInfo
  /** What the protocol that created the stream keeps of the request; in this process only. */
  readonly kept: string | undefined
  readonly #keeper: LogKeeper | undefined
  readonly #events = new EventList()
  /** Of readers and watchers; watchers do not count as readers. */
  readonly #wakes = new Set<Wake>()
  #readers = 0
  /** Readers everywhere; those of this log alone are `readers`. */
  readonly readerCount = new ReaderCount()
  #answered: Answered | undefined
  #bytes: number
  #held = 0
  #done: Done | undefined
  /** Seqs before `done` that no event has: a node that was lost may have shown events under them. */
  #skipped = 0
  #waking = false
  #since = 0

  /** The stream was ended to make room: stalled readers are cut off. */
  displaced = false
  /**
   * Whether this process may still write the stream, for one that other nodes know. Asked before anything is shown to a
   * reader: after a long pause the others have declared the process lost, and have another end of the stream.
   */
  isOurs: (() => boolean) | undefined
  #withdrawn = false
  /** Called to end the stream when the store has no room for it. */
  onDisplaced: ((error: SluiceError) => void) | undefined

  constructor(info: StreamInfo, keeper?: LogKeeper, kept?: string) {
    this.info = info
    this.kept = kept
    this.#bytes = emptyLogBytes(info, kept)
    this.#keeper = keeper
  }

  /** The seq of the last event; 0 when there is none. */
  get last(): number {
    return this.#events.length + this.#skipped
  }

  /** The seq of the last event that is not `done`; 0 when there is none. */
  get lastDelta(): number {
    return this.#done ? this.#events.length - 1 : this.#events.length
  }

  /** Readers must be cut off: other nodes have another end of the stream. */
  get withdrawn(): boolean {
    if (!this.#withdrawn && this.isOurs && !this.isOurs()) this.#withdrawn = true
    return this.#withdrawn
  }

  /** Shows nothing more to readers, and wakes them so that they leave. */
  withdraw(): void {
    this.#withdrawn = true
    this.#wakeReaders(performance.now())
  }

  /** Estimated bytes of memory. */
  get bytes(): number {
    return this.#bytes
  }

  /** Bytes that arrived from the upstream and are no event yet. */
  get held(): number {
    return this.#held
  }

  /** @throws SluiceError `store_full`, with nothing changed */
  hold(bytes: number): void {
    if (bytes === this.#held) return
    this.#keeper?.held(this, bytes - this.#held)
    this.#held = bytes
  }

  get done(): Done | undefined {
    return this.#done
  }

  /** How many subscriptions this log has. */
  get readers(): number {
    return this.#readers
  }

  /** Who answers, once that is known; `info` says who was asked. */
  get answer(): AnsweredBy | undefined {
    return this.#answered?.answer
  }

  /** Appends who answers, before the first event of the answer. It is copied with that event. */
  appendAnswer(answer: AnsweredBy): void {
    this.#checkOpen()
    this.#events.split()
    this.#answered = { answer, first: this.last + 1, before: this.#answered }
  }

  /** Appends one event, which came at `at`, and wakes the readers once this turn of the event loop is over. */
  append(event: StreamEvent, at = performance.now()): void {
    this.#checkOpen()
    const size = measureEvent(event)
    this.#keeper?.admit(this, size.bytes, event.type === 'done')
    this.#push(event, size)
    this.#wakeReaders(at)
    if (event.type === 'done') this.#keeper?.ended(this)
  }

  /**
   * Appends a piece of the log that this one follows. A piece is appended whole or not at all.
   *
   * @throws SluiceError when it is not the piece that comes next, or not of this stream, or there is no room for it
   */
  appendPiece(piece: Piece, at = performance.now()): void {
    this.#checkOpen()
    const { first, records = [] } = piece
    const skips = 'event' in piece && piece.skips === true && piece.event.type === 'done' && first > this.last
    if (first !== this.last + 1 && !skips)
      throw new SluiceError('internal_error', `Event ${first} cannot follow event ${this.last} of a stream.`)
    for (const record of records)
      if (record.type === 'created' && record.info.id !== this.info.id)
        throw new SluiceError('internal_error', 'The piece is of another stream.')
    const events = eventsOf(piece)
    const sizes = events.map(measureEvent)
    this.#keeper?.admit(
      this,
      sizes.reduce((sum, { bytes }) => sum + bytes, 0),
      events.at(-1)?.type === 'done',
    )
    for (const record of records) if (record.type === 'answered') this.appendAnswer(record.answer)
    this.#skipped = first - this.last - 1
    for (const [i, size] of sizes.entries()) {
      const event = events[i]
      if (event) this.#push(event, size)
    }
    this.#wakeReaders(at)
    if (this.#done) this.#keeper?.ended(this)
  }

  /** The stored pieces of the events after `from`, up to the end that the log has when the first is asked for. */
  *pieces(from = 0): Generator<Piece, void, void> {
    if (from >= this.last) return
    for (const piece of this.#events.pieces(Math.min(from, this.#events.length - 1))) {
      const records = this.#recordsBefore(piece.first)
      const isLate = this.#skipped > 0 && 'event' in piece && piece.event.type === 'done'
      const placed: Piece = isLate ? { ...piece, first: this.last, skips: true } : piece
      yield records.length === 0 ? placed : { ...placed, records }
    }
  }

  /**
   * The next batch after `cursor`, at most up to `end`; `undefined` if there is nothing between them. A batch that ends
   * before `end` is full: later reads return the same batch, even after the log has grown. Without `merge`, each event
   * is one of the batch.
   */
  read(cursor: number, end = this.last, { merge = true } = {}): Batch | undefined {
    if (cursor >= end) return undefined
    const events: SequencedEvent[] = []
    let seq = cursor
    let merges = 0
    let current: SequencedEvent | undefined
    for (let size = 0; seq < end && size < BATCH_SIZE;) {
      // `done` may have skipped some seqs.
      const index = Math.min(seq, this.#events.length - 1)
      if (seq === this.lastDelta && end < this.last) break
      const { event, count, size: added } = this.#events.read(index, merge ? end : index + 1, BATCH_SIZE - size)
      const merged =
        merge && current?.event.type === 'delta' && event.type === 'delta'
          ? mergeDeltas(current.event, event)
          : undefined
      // Checked after merging: how many texts are read as one event depends on what has been packed so far.
      if (!merged && events.length === BATCH_EVENTS) break
      seq = event.type === 'done' ? this.last : index + count
      size += added
      merges += count - 1
      if (current && merged) {
        merges += 1
        current.event = merged
        current.seq = seq
      } else {
        current = { seq, event }
        events.push(current)
      }
    }
    return events.length === 0 ? undefined : { events, last: seq, count: events.length + merges }
  }

  /** Reports a reader that does not stay, such as a polling client. */
  touch(): void {
    this.readerCount.change(0)
  }

  /** Calls `wake` after every turn in which something was appended, until the returned function is called. */
  subscribe(wake: Wake): () => void {
    // A function of its own per reader: the same callback may read twice.
    const reader: Wake = (since) => wake(since)
    this.#wakes.add(reader)
    this.#readers += 1
    this.readerCount.change(1)
    return () => {
      if (!this.#wakes.delete(reader)) return
      this.#readers -= 1
      this.readerCount.change(-1)
    }
  }

  /** Like `subscribe`, but does not count as a reader: a watcher does not keep a generation running. */
  watch(wake: Wake): () => void {
    const watcher: Wake = (since) => wake(since)
    this.#wakes.add(watcher)
    return () => void this.#wakes.delete(watcher)
  }

  #checkOpen(): void {
    if (this.#done) throw new SluiceError('internal_error', 'The stream has ended; nothing follows `done`.')
  }

  #push(event: StreamEvent, { bytes, json }: EventSize): void {
    this.#bytes += bytes
    this.#events.push(event, bytes, json)
    if (event.type === 'done') this.#done = event
  }

  #recordsBefore(first: number): HeadRecord[] {
    const records: HeadRecord[] = []
    for (let each = this.#answered; each; each = each.before)
      if (each.first === first) records.unshift({ type: 'answered', answer: each.answer })
    if (first === 1) records.unshift({ type: 'created', info: this.info })
    return records
  }

  #wakeReaders(since: number): void {
    if (this.#waking || this.#wakes.size === 0) return
    this.#waking = true
    this.#since = since
    afterThisTurn(this.#wake)
  }

  readonly #wake = (): void => {
    this.#waking = false
    for (const wake of this.#wakes)
      try {
        wake(this.#since)
      } catch (error) {
        throwLater(error)
      }
  }
}
