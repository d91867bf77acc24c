import type { StreamEvent } from '../stream/events.ts'
import { measureEvent } from '../stream/check-event.ts'
import type { Sink } from '../stream/source.ts'

/** More than this is not held back, in bytes. */
const MAX_HELD_BYTES = 1024 * 1024
/** An event in memory, beside its text. */
const EVENT_BYTES = 96

/** The events of an answer whose reader waits for the whole: while they are held back, the answer can be retried. */
export class HeldAnswer {
  readonly #batches: { events: readonly StreamEvent[]; at: number }[] = []
  #bytes = 0

  add(events: readonly StreamEvent[], at: number): void {
    this.#batches.push({ events, at })
    for (const event of events) this.#bytes += EVENT_BYTES + sizeOf(event)
  }

  get bytes(): number {
    return this.#bytes
  }

  get full(): boolean {
    return this.#bytes > MAX_HELD_BYTES
  }

  /** As they came: with the time of their arrival. */
  pushTo(sink: Sink): void {
    for (const { events, at } of this.#batches) sink.push(events, at)
  }
}

/** An event without a JSON form counts as infinitely large: the log refuses it. */
function sizeOf(event: StreamEvent): number {
  try {
    return measureEvent(event).bytes
  } catch {
    return Infinity
  }
}
