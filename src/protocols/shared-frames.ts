import { Payload } from '../sse/payload.ts'
import type { StreamLog } from '../stream/stream-log.ts'
import type { Encoder, Protocol } from './protocol.ts'

/** A batch as it goes over the wire. */
export interface Frames {
  readonly payload: Payload
  /** The cursor of a reader that has been sent these frames. */
  readonly last: number
  /** How many frames of each event. */
  readonly deltas: number
  readonly dones: number
  /** How many deltas left within the frame of another. */
  readonly merged: number
}

interface Encoding {
  readonly from: number
  /** The end of the log at the time: the same cursor reads more once it has grown. */
  readonly end: number
  readonly frames: Frames
  readonly next: Encoder
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
    const { text, frames, next } = encoder.encode(batch)
    const dones = batch.events.at(-1)?.event.type === 'done' ? 1 : 0
    this.#latest = {
      from,
      end,
      next,
      frames: {
        payload: new Payload(text),
        last: batch.last,
        deltas: frames - dones,
        dones,
        merged: batch.count - batch.events.length,
      },
    }
    // Whoever waited for the end has been woken by then; for those who come later it is made anew.
    if (dones > 0) setImmediate(() => shared.delete(this.#log))
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
