import type { StreamLog } from '../stream/stream-log.ts'
import type { Protocol } from './protocol.ts'

/** A batch as it goes over the wire. */
export interface Frames {
  readonly bytes: Buffer
  /** The cursor of a reader that has been sent these frames. */
  readonly last: number
  /** How many frames of each event. */
  readonly deltas: number
  readonly dones: number
  /** How many deltas left within the frame of another. */
  readonly merged: number
}

/**
 * A log in one protocol. Readers that stand at the same cursor, as all live ones do, are handed the same bytes: an
 * event is encoded once, whatever the number of its readers.
 */
export class SharedFrames {
  readonly #log: StreamLog
  readonly #protocol: Protocol
  #latest: { from: number; end: number; frames: Frames } | undefined

  constructor(log: StreamLog, protocol: Protocol) {
    this.#log = log
    this.#protocol = protocol
  }

  readonly read = (cursor: number): Frames | undefined => {
    const end = this.#log.last
    if (this.#latest?.from === cursor && this.#latest.end === end) return this.#latest.frames
    const batch = this.#log.read(cursor)
    if (!batch) return undefined
    const dones = batch.events.at(-1)?.event.type === 'done' ? 1 : 0
    const frames = {
      bytes: Buffer.from(this.#protocol.encode(batch)),
      last: batch.last,
      deltas: batch.events.length - dones,
      dones,
      merged: batch.count - batch.events.length,
    }
    this.#latest = { from: cursor, end, frames }
    return frames
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
