import { SluiceError } from '../errors.ts'
import { EventList } from './event-list.ts'
import { plainField, type Done, type SequencedEvent, type StreamEvent } from './events.ts'
import { mergeDeltas } from './merge.ts'

/** Who and what a stream is; fixed from its creation. */
export interface StreamInfo {
  readonly id: string
  /** Whoever created it; nobody else finds it. */
  readonly owner: string
  readonly model: string
  readonly provider: string
  /** The address that it was created from: memory is shared out among addresses. */
  readonly client?: string | undefined
  /** What it takes beside its log as long as it runs. */
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
 * A batch ends when it holds this many characters, so that what waits in a full socket stays small however far
 * behind its reader is.
 */
const BATCH_CHARACTERS = 16_384

/** What an event costs beside its text, and beside its JSON when it is more than a text. */
const TEXT_BYTES = 4
const EVENT_BYTES = 96

/** A `done` is kept however full the store is, so it must be small. */
const MAX_DONE_BYTES = 64 * 1024

/** What a log costs before its first event. */
export const EMPTY_LOG_BYTES = 1024

/** The append-only log of one generation. Event `seq` is at `seq - 1` of the list; nothing ever changes or leaves. */
export class StreamLog {
  readonly info: StreamInfo
  readonly #keeper: LogKeeper | undefined
  readonly #events = new EventList()
  readonly #readers = new Set<Wake>()
  #bytes = EMPTY_LOG_BYTES
  #done: Done | undefined
  #waking = false
  #since = 0

  /** Who answers, once that is known. */
  answer: Answer | undefined
  /** Called with the number of readers whenever it changes. */
  onReaders: ((count: number) => void) | undefined
  /** Called to end the stream because there is no room for it any more. */
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

  get done(): Done | undefined {
    return this.#done
  }

  get readers(): number {
    return this.#readers.size
  }

  /** Appends one event, which came at `at`, and wakes the readers once this turn of the event loop is over. */
  append(event: StreamEvent, at = performance.now()): void {
    if (this.#done)
      throw new SluiceError('internal_error', `Stream ${this.info.id} has ended; nothing follows \`done\`.`)
    const bytes = bytesOf(event)
    if (event.type === 'done' && bytes > MAX_DONE_BYTES)
      throw new SluiceError('provider_invalid_event', `The end of the stream is larger than ${MAX_DONE_BYTES} bytes.`)
    this.#keeper?.admit(this, bytes, event.type === 'done')
    this.#bytes += bytes
    this.#events.push(event)
    this.#wakeReaders(at)
    if (event.type === 'done') {
      this.#done = event
      this.#keeper?.ended(this)
    }
  }

  /** The next batch after `cursor` and up to `end`, or `undefined` when there is nothing between them. */
  read(cursor: number, end = this.last): Batch | undefined {
    if (cursor >= end) return undefined
    const events: SequencedEvent[] = []
    let seq = cursor
    let current: SequencedEvent | undefined
    for (let size = 0; seq < end && size < BATCH_CHARACTERS;) {
      const { event, count } = this.#events.read(seq, end, BATCH_CHARACTERS - size)
      seq += count
      size += textLength(event)
      const merged =
        current?.event.type === 'delta' && event.type === 'delta' ? mergeDeltas(current.event, event) : undefined
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

  /** Calls `wake` after every turn in which something was appended, until the returned function is called. */
  subscribe(wake: Wake): () => void {
    // A function of its own per reader: the same callback may read twice.
    const reader: Wake = (since) => wake(since)
    this.#readers.add(reader)
    this.onReaders?.(this.#readers.size)
    return () => {
      if (this.#readers.delete(reader)) this.onReaders?.(this.#readers.size)
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
    for (const reader of this.#readers) reader(this.#since)
  }
}

function bytesOf(event: StreamEvent): number {
  const field = plainField(event)
  const text = field && event.type === 'delta' ? event[field] : undefined
  return text === undefined
    ? EVENT_BYTES + Buffer.byteLength(JSON.stringify(event))
    : TEXT_BYTES + Buffer.byteLength(text)
}

function textLength(event: StreamEvent): number {
  if (event.type === 'done') return 0
  const { content = '', reasoning = '', refusal = '', tool_calls, extra } = event
  let length = content.length + reasoning.length + refusal.length
  if (tool_calls) for (const call of tool_calls) length += call.function?.arguments?.length ?? 0
  // Rare, and of any depth.
  if (extra) length += JSON.stringify(extra).length
  return length
}

/**
 * One `setImmediate` for all logs that grew in this turn of the event loop: whatever one turn brought, from however
 * many upstreams and in however many pieces, each reader gets in one write.
 */
let pending: (() => void)[] = []

function afterThisTurn(wake: () => void): void {
  if (pending.length === 0) {
    setImmediate(() => {
      const wakes = pending
      pending = []
      for (const wakeReaders of wakes) wakeReaders()
    })
  }
  pending.push(wake)
}
