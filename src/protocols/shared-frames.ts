// The frames of a log: each batch is encoded once for all readers at its cursor, and full batches are cached.

import { Payload } from '../sse/response-body.ts'
import type { Batch, StreamLog } from '../stream/stream-log.ts'
import type { Encoded, Encoder, Protocol } from './protocol.ts'

/** A cached encoding: its cursor and its size. */
export interface Kept {
  readonly from: number
  readonly bytes: number
}

/**
 * An LRU cache of the encodings of all logs, bounded by `maxBytes` or by its newest entry. Each log owns its map; this class references no
 * log, so logs can be garbage-collected.
 */
export class RecentEncodings<E extends Kept> {
  readonly #maxBytes: number
  /** The map of each encoding; the least recently used comes first. */
  readonly #homes = new Map<E, Map<number, E>>()
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  keep(encoding: E, home: Map<number, E>): void {
    home.set(encoding.from, encoding)
    this.#homes.set(encoding, home)
    this.#bytes += encoding.bytes
    for (const [oldest, itsHome] of this.#homes) {
      // The newest stays, whatever its size: it is the one that most readers are about to ask for.
      if (this.#bytes <= this.#maxBytes || oldest === encoding) return
      this.#homes.delete(oldest)
      this.#bytes -= oldest.bytes
      itsHome.delete(oldest.from)
    }
  }

  find(from: number, home: Map<number, E>): E | undefined {
    const encoding = home.get(from)
    if (!encoding) return undefined
    this.#homes.delete(encoding)
    this.#homes.set(encoding, home)
    return encoding
  }
}

/**
 * An encoded batch.
 *
 * A class, like `Encoding`: V8 would allocate object literals in old space, since the latest of every open stream lives
 * long. There a dead object keeps everything it references until the next full collection.
 */
class Frames {
  readonly payload: Payload
  /** The cursor of a reader that has been sent these frames. */
  readonly last: number
  /** Number of frames for each event type. */
  readonly deltas: number
  readonly dones: number
  /** Number of deltas that were merged into the frame of another. */
  readonly merged: number

  constructor(payload: Payload, frames: number, { last, dones, merged }: Pick<Frames, 'last' | 'dones' | 'merged'>) {
    this.payload = payload
    this.last = last
    this.dones = dones
    // A reader may have had the frame of `done`, but not all others of that event.
    this.deltas = Math.max(0, frames - dones)
    this.merged = merged
  }
}

function toFrames({ events, count, last }: Batch, { text, frames }: Omit<Encoded, 'next'>): Frames {
  const dones = events.at(-1)?.event.type === 'done' ? 1 : 0
  return new Frames(new Payload(text), frames, { last, dones, merged: count - events.length })
}

/** The encoding of the events after the cursor `from`. */
class Encoding {
  readonly from: number
  /** Where reading ended at encoding time: the same cursor reads more once the log has grown. */
  readonly end: number
  readonly frames: Frames
  readonly next: Encoder

  constructor(from: number, end: number, frames: Frames, next: Encoder) {
    this.from = from
    this.end = end
    this.frames = frames
    this.next = next
  }

  /** Text, bytes and overhead. */
  get bytes(): number {
    return 2 * this.frames.payload.byteLength + 512
  }
}

/** The rest of a batch, for a reader that has its first frames. */
function withoutFirst(count: number, batch: Batch, { text, frames }: Encoded): Frames {
  if (count === frames) return toFrames({ events: [], last: batch.last, count: 0 }, { text: '', frames: 0 })
  let at = 0
  for (let i = 0; i < count; i++) at = text.indexOf(FRAME_END, at) + FRAME_END.length
  return toFrames(batch, { text: text.slice(at), frames: frames - count })
}

/** The frames after the one with this number, as a part of the same bytes: a thousand readers may wait for them. */
function afterNumber(seen: number, frames: Frames): Frames {
  const { text } = frames.payload
  let at = 0
  let dropped = 0
  for (let end = text.indexOf(FRAME_END); end !== -1; end = text.indexOf(FRAME_END, at)) {
    const id = text.lastIndexOf(ID, end - 1)
    if (id < at || Number(text.slice(id + ID.length, end)) > seen) break
    at = end + FRAME_END.length
    dropped += 1
  }
  if (dropped === 0) return frames
  return new Frames(frames.payload.tail(at), frames.deltas + frames.dones - dropped, frames)
}

const FRAME_END = '\n\n'
const ID = '\nid: '

/** Limit for the whole process. */
const RECENT_BYTES = 8 * 1024 * 1024

/** The end of a stream is kept if it repeats a long answer: late readers would each encode it anew. */
const LARGE_BYTES = 256 * 1024

/** A log of this size has a large end in a protocol that repeats the answer there. */
const LARGE_LOG_BYTES = LARGE_BYTES / 4

const recent = new RecentEncodings<Encoding>(RECENT_BYTES)

/**
 * A log encoded in one protocol. Readers at the same cursor, such as all live ones, share the same bytes: an event is
 * encoded once for all of them. Later readers share full batches while these are cached.
 */
export class SharedFrames {
  readonly #log: StreamLog
  readonly protocol: Protocol
  #latest: Encoding | undefined
  /** Has the same end as the latest: most readers share one cursor, and lagging readers often share a second. */
  #second: Encoding | undefined
  /** Full batches by their first cursor; they never change. */
  #recent: Map<number, Encoding> | undefined
  /** A large end is shared for as long as any reader has it, even if it has left the cache. */
  #final: WeakRef<Encoding> | undefined

  constructor(log: StreamLog, protocol: Protocol) {
    this.#log = log
    this.protocol = protocol
  }

  /**
   * Returns a read function; call it with rising cursors. An encoder's state depends on all earlier events: for a
   * reader that starts at a later cursor it returns empty frames until the encoder has reached the cursor, one batch
   * per call.
   *
   * @param seen the number of the last frame that the reader has of the event after its first cursor
   * @param received frames that the reader has already; it starts at the cursor 0, and gets the frames after these
   */
  reader(seen?: number, received = 0): (cursor: number) => Frames | undefined {
    let encoder: Encoder | undefined
    let unsent = seen
    let toDrop = received
    /** The encoder's cursor. */
    let at = 0
    // Never read: it keeps the large end, to which `#final` refers weakly, for as long as this reader lives.
    let final: Encoding | undefined
    return (cursor) => {
      if (cursor >= this.#log.last) return undefined
      encoder ??= this.protocol.encoder(this.#log.info)
      if (toDrop > 0) {
        const batch = this.#read(cursor)
        if (!batch) return undefined
        const encoded = encoder.encode(batch)
        const dropped = Math.min(toDrop, encoded.frames)
        toDrop -= dropped
        encoder = encoded.next
        at = batch.last
        return withoutFirst(dropped, batch, encoded)
      }
      if (at < cursor && encoder.skip) {
        const batch = this.#log.read(at, cursor)
        if (batch) {
          encoder = encoder.skip(batch)
          at = batch.last
          if (at < cursor) return toFrames({ events: [], last: cursor, count: 0 }, { text: '', frames: 0 })
        }
      }
      const encoding = this.#encode(cursor, encoder)
      if (!encoding) return undefined
      if (encoding.frames.dones > 0) final ??= encoding
      encoder = encoding.next
      at = encoding.frames.last
      const frames = unsent === undefined ? encoding.frames : afterNumber(unsent, encoding.frames)
      unsent = undefined
      return frames
    }
  }

  #encode(from: number, encoder: Encoder): Encoding | undefined {
    const end = this.#endAfter(from)
    if (this.#latest?.from === from && this.#latest.end === end) return this.#latest
    if (this.#second?.from === from && this.#second.end === end) return this.#second
    const kept = this.#recent && recent.find(from, this.#recent)
    if (kept) return kept
    const final = this.#final?.deref()
    if (final?.from === from) return final
    const batch = this.#read(from)
    if (!batch) return undefined
    const encoded = encoder.encode(batch)
    const encoding = new Encoding(from, end, toFrames(batch, encoded), encoded.next)
    const isFinal = encoding.frames.dones > 0 && encoding.bytes > LARGE_BYTES
    if (isFinal) this.#final = new WeakRef(encoding)
    if (encoding.frames.last < end || isFinal) recent.keep(encoding, (this.#recent ??= new Map()))
    else {
      this.#second = this.#latest?.end === end ? this.#latest : undefined
      this.#latest = encoding
    }
    // Live readers have been woken by then; later readers encode it again.
    if (encoding.frames.dones > 0) setImmediate(() => this.#forget())
    return encoding
  }

  #read(from: number): Batch | undefined {
    return this.#log.read(from, this.#endAfter(from), { merge: !this.protocol.countsFrames })
  }

  /** A large `done` is a batch of its own: it is then the same for all readers, wherever they began. */
  #endAfter(from: number): number {
    const { last, lastDelta, done, bytes } = this.#log
    const endsApart = this.protocol.repeatsAnswer && done && bytes > LARGE_LOG_BYTES && from < lastDelta
    return endsApart ? lastDelta : last
  }

  #forget(): void {
    this.#latest = undefined
    this.#second = undefined
    if (this.#final || (this.#recent && this.#recent.size > 0)) return
    const others = (shared.get(this.#log) ?? []).filter((each) => each !== this)
    if (others.length > 0) shared.set(this.#log, others)
    else shared.delete(this.#log)
  }
}

/** A log is read in few protocols, and nearly always in one. */
const shared = new WeakMap<StreamLog, SharedFrames[]>()

/** The shared frames of a log in a protocol: one instance for the log's lifetime. */
export function sharedFrames(log: StreamLog, protocol: Protocol): SharedFrames {
  const known = shared.get(log)
  const found = known?.find((each) => each.protocol === protocol)
  if (found) return found
  const frames = new SharedFrames(log, protocol)
  if (known) known.push(frames)
  else shared.set(log, [frames])
  return frames
}
