import { SluiceError } from '../errors.ts'
import { countJson, VALUE_BYTES } from '../json.ts'
import { afterThisTurn, throwLater } from './after-this-turn.ts'
import { EventList } from './event-list.ts'
import { plainField, type Done, type SequencedEvent, type StreamEvent } from './events.ts'
import { mergeDeltas } from './merge.ts'
import { ReaderCount } from './reader-count.ts'

/** Who and what a stream is; fixed from its creation. */
export interface StreamInfo {
  readonly id: string
  /** Whoever created it; nobody else finds it. */
  readonly owner: string
  readonly model: string
  readonly provider: string
  /** The address that created it: memory limits are per address. */
  readonly client?: string | undefined
  /** Memory of the running stream, apart from its log. */
  readonly runningBytes?: number | undefined
  /** Milliseconds since the epoch. */
  readonly created: number
  /** What the protocol that created it has to remember of the request. */
  readonly labels?: Readonly<Record<string, string>> | undefined
}

/** Which target answered, and how many attempts were made, over all targets, until it did. */
export interface Answer {
  provider: string
  model: string
  attempts: number
}

/** What a log tells the store that keeps it. */
export interface LogKeeper {
  /** Before an event of `bytes` is kept; throws a `SluiceError` to refuse it. A `final` one may not be refused. */
  admit(log: StreamLog, bytes: number, final: boolean): void
  /** Memory that the log's upstream makes the process hold has changed by so much; throws to refuse it. */
  held(log: StreamLog, change: number): void
  /** Once, right after `done` is in the log. */
  ended(log: StreamLog): void
}

/** `since` is when the first came of the events that a reader is woken for, by `performance.now()`. */
export type Wake = (since: number) => void

/** What a reader finds behind its cursor, adjacent deltas merged. Never empty. */
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

/** Texts of different fields do not merge, and may be empty. */
const BATCH_EVENTS = 256

/** What an event costs beside its text, and beside its JSON when it is more than a text. */
const TEXT_BYTES = 4
const EVENT_BYTES = 96
/** `EVENT_BYTES` covers this many values and names: those of a piece of a tool call. */
const EVENT_VALUES = 12
/** In characters of JSON: longer events are kept as JSON, whose size is known exactly. */
const WRITTEN_FROM = 256

/** A `done` is kept even when the store is full, so it must be small. */
const MAX_DONE_BYTES = 64 * 1024

/** What a log costs before its first event. */
export const EMPTY_LOG_BYTES = 1024

/** The append-only log of one generation. Event `seq` is at `seq - 1` of the list; nothing ever changes or leaves. */
export class StreamLog {
  readonly info: StreamInfo
  readonly #keeper: LogKeeper | undefined
  readonly #events = new EventList()
  readonly #readers = new Set<Wake>()
  /** Readers everywhere; those of this log alone are `readers`. */
  readonly readerCount = new ReaderCount()
  #bytes = EMPTY_LOG_BYTES
  #held = 0
  #done: Done | undefined
  #waking = false
  #since = 0

  /** Who answers, once that is known. */
  answer: Answer | undefined
  /** The stream was ended to make room: readers who do not read are not waited for. */
  displaced = false
  /** Called to end the stream when the store has no room for it. */
  onDisplaced: ((error: SluiceError) => void) | undefined

  constructor(info: StreamInfo, keeper?: LogKeeper) {
    this.info = info
    this.#keeper = keeper
  }

  /** The seq of the last event; 0 when there is none. */
  get last(): number {
    return this.#events.length
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
    return this.#readers.size
  }

  /** Appends one event, which came at `at`, and wakes the readers once this turn of the event loop is over. */
  append(event: StreamEvent, at = performance.now()): void {
    if (this.#done) throw new SluiceError('internal_error', 'The stream has ended; nothing follows `done`.')
    const { bytes, json } = measure(event)
    if (event.type === 'done' && bytes > MAX_DONE_BYTES)
      throw new SluiceError('provider_invalid_event', `The end of the stream is larger than ${MAX_DONE_BYTES} bytes.`)
    this.#keeper?.admit(this, bytes, event.type === 'done')
    this.#bytes += bytes
    this.#events.push(event, bytes, json)
    this.#wakeReaders(at)
    if (event.type === 'done') {
      this.#done = event
      this.#keeper?.ended(this)
    }
  }

  /**
   * The next batch after `cursor`, at most up to `end`; `undefined` if there is nothing between them. A batch that ends
   * before `end` is full: later reads return the same batch, even after the log has grown.
   */
  read(cursor: number, end = this.last): Batch | undefined {
    if (cursor >= end) return undefined
    const events: SequencedEvent[] = []
    let seq = cursor
    let current: SequencedEvent | undefined
    for (let size = 0; seq < end && size < BATCH_SIZE;) {
      const { event, count, size: added } = this.#events.read(seq, end, BATCH_SIZE - size)
      const merged =
        current?.event.type === 'delta' && event.type === 'delta' ? mergeDeltas(current.event, event) : undefined
      // Checked after merging: how many texts are read as one event depends on what has been packed so far.
      if (!merged && events.length === BATCH_EVENTS) break
      seq += count
      size += added
      if (current && merged) {
        current.event = merged
        current.seq = seq
      } else {
        current = { seq, event }
        events.push(current)
      }
    }
    return { events, last: seq, count: seq - cursor }
  }

  /** A reader was here that does not stay, such as one that polls. */
  touch(): void {
    this.readerCount.change(0)
  }

  /** Calls `wake` after every turn in which something was appended, until the returned function is called. */
  subscribe(wake: Wake): () => void {
    // A function of its own per reader: the same callback may read twice.
    const reader: Wake = (since) => wake(since)
    this.#readers.add(reader)
    this.readerCount.change(1)
    return () => {
      if (this.#readers.delete(reader)) this.readerCount.change(-1)
    }
  }

  #wakeReaders(since: number): void {
    if (this.#waking || this.#readers.size === 0) return
    this.#waking = true
    this.#since = since
    afterThisTurn(this.#wake)
  }

  readonly #wake = (): void => {
    this.#waking = false
    for (const reader of this.#readers)
      try {
        reader(this.#since)
      } catch (error) {
        throwLater(error)
      }
  }
}

/** What an event takes, and its JSON if it is to be kept as that. */
function measure(event: StreamEvent): { bytes: number; json?: string } {
  const field = plainField(event)
  const text = field && event.type === 'delta' ? event[field] : undefined
  if (text !== undefined) return { bytes: TEXT_BYTES + Buffer.byteLength(text) }
  const json = JSON.stringify(event)
  const bytes = EVENT_BYTES + Buffer.byteLength(json)
  if (event.type === 'done') return { bytes }
  if (json.length >= WRITTEN_FROM) return { bytes, json }
  return { bytes: bytes + VALUE_BYTES * Math.max(0, countJson(json) - EVENT_VALUES) }
}
