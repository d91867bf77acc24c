/** A listener that is called about once a tick, to check whether anything is due. */
export interface HeartbeatListener {
  /** `now` is `performance.now()`, read once for all listeners. */
  beat(now: number): void
}

/**
 * One timer for any number of connections: a frame starts no timer and reads no clock. Without connections, no timer
 * runs.
 */
export class Heartbeat {
  readonly #tickMs: number
  readonly #members = new Set<HeartbeatListener>()
  #timer: NodeJS.Timeout | undefined

  /** `tickMs` is the precision of a beat: use a fraction of the shortest period that members measure. */
  constructor(tickMs: number) {
    this.#tickMs = tickMs
  }

  get size(): number {
    return this.#members.size
  }

  join(member: HeartbeatListener): void {
    this.#members.add(member)
    this.#timer ??= setInterval(() => {
      const now = performance.now()
      for (const each of this.#members) each.beat(now)
    }, this.#tickMs)
  }

  leave(member: HeartbeatListener): void {
    this.#members.delete(member)
    if (this.#members.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
