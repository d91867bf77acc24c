/** One who wants to be asked, about once a tick, whether it is time to do something. */
export interface HeartbeatListener {
  /** `now` is `performance.now()`, taken once for all. */
  beat(now: number): void
}

/**
 * One timer for any number of connections: a frame costs no timer and no look at the clock, and a process without
 * connections has no timer at all.
 */
export class Heartbeat {
  readonly #tickMs: number
  readonly #members = new Set<HeartbeatListener>()
  #timer: NodeJS.Timeout | undefined

  /** `tickMs` is how far off a beat may be: take a fraction of the shortest period that members measure. */
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
