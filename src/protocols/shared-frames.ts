import { Payload } from '../sse/payload.ts'
import type { Batch, StreamLog } from '../stream/stream-log.ts'
import type { Encoded, Encoder, Protocol } from './protocol.ts'

/**
 * A batch as it goes over the wire.
 *
 * A class, as `Encoding` is: the latest of every open stream outlives the others, from which V8 concludes that its
 * literals are better made in old space. There a dead one keeps all that it refers to until the next full collection.
 */
class Frames {
  readonly payload: Payload
  /** The cursor of a reader that has been sent these frames. */
  readonly last: number
  /** How many frames of each event. */
  readonly deltas: number
  readonly dones: number
  /** How many deltas left within the frame of another. */
  readonly merged: number

  constructor({ events, count, last }: Batch, { text, frames }: Encoded) {
    this.payload = new Payload(text)
    this.last = last
    this.dones = events.at(-1)?.event.type === 'done' ? 1 : 0
    this.deltas = frames - this.dones
    this.merged = count - events.length
  }
}

/** What follows the cursor `from`. */
class Encoding {
  readonly from: number
  /** The end of the log at the time: the same cursor reads more once it has grown. */
  readonly end: number
  readonly frames: Frames
  readonly next: Encoder

  constructor(from: number, end: number, frames: Frames, next: Encoder) {
    this.from = from
    this.end = end
    this.frames = frames
    this.next = next
  }
}

/**
 * A log in one protocol. Readers that stand at the same cursor, as all live ones do, are handed the same bytes: an
 * event is encoded once, whatever the number of its readers.
 */
export class SharedFrames {
  readonly #log: StreamLog
  readonly #protocol: Protocol
  #latest: Encoding | undefined

  constructor(log: StreamLog, protocol: Protocol) {
    this.#log = log
    this.#protocol = protocol
  }

  /** One reader's way to read: call it with rising cursors, each the `last` of the frames before. */
  reader(): (cursor: number) => Frames | undefined {
    let encoder: Encoder | undefined
    return (cursor) => {
      if (cursor === this.#log.last) return undefined
      encoder ??= this.#encoderAt(cursor)
      const encoding = this.#encode(cursor, encoder)
      encoder = encoding?.next
      return encoding?.frames
    }
  }

  #encode(from: number, encoder: Encoder): Encoding | undefined {
    const end = this.#log.last
    if (this.#latest?.from === from && this.#latest.end === end) return this.#latest
    const batch = this.#log.read(from)
    if (!batch) return undefined
    const encoded = encoder.encode(batch)
    this.#latest = new Encoding(from, end, new Frames(batch, encoded), encoded.next)
    // Whoever waited for the end has been woken by then; for those who come later it is made anew.
    if (this.#latest.frames.dones > 0) setImmediate(() => shared.delete(this.#log))
    return this.#latest
  }

  /** What an encoder knows at a cursor depends on what came before it. */
  #encoderAt(cursor: number): Encoder {
    let encoder = this.#protocol.encoder(this.#log.info)
    for (let at = 0; at < cursor;) {
      const batch = this.#log.read(at, cursor)
      if (!batch) break
      encoder = encoder.encode(batch).next
      at = batch.last
    }
    return encoder
  }
}

const shared = new WeakMap<StreamLog, Map<Protocol, SharedFrames>>()

/** The frames of a log in a protocol; the same for all who ask, as long as the log lives. */
export function sharedFrames(log: StreamLog, protocol: Protocol): SharedFrames {
  let protocols = shared.get(log)
  if (!protocols) shared.set(log, (protocols = new Map()))
  let frames = protocols.get(protocol)
  if (!frames) protocols.set(protocol, (frames = new SharedFrames(log, protocol)))
  return frames
}
