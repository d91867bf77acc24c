/**
 * Lets what is behind readers' cursors gather, so that it leaves in fewer and larger frames: one timer for all that
 * wait, and none when nobody does.
 */
export class Gathering {
  readonly #intervalMs: number
  #waiting = new Set<() => void>()
  #timer: NodeJS.Timeout | undefined

  /** @param intervalMs the longest that anybody waits */
  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs
  }

  /** Calls `flush` when the time of those who wait is over; once, however often it is asked for until then. */
  wait(flush: () => void): void {
    this.#waiting.add(flush)
    this.#timer ??= setTimeout(this.#flush, this.#intervalMs)
  }

  leave(flush: () => void): void {
    if (!this.#waiting.delete(flush) || this.#waiting.size > 0) return
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  readonly #flush = (): void => {
    const waiting = this.#waiting
    this.#waiting = new Set()
    this.#timer = undefined
    for (const flush of waiting) flush()
  }
}
