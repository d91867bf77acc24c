/**
 * Delays flushes, so that deltas coalesce into fewer and larger frames: one timer for all readers, and none while no
 * reader waits.
 */
export class FlushTimer {
  readonly #intervalMs: number
  #waiting = new Set<() => void>()
  #timer: NodeJS.Timeout | undefined

  /** @param intervalMs the longest delay */
  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs
  }

  /** Calls `flush` when the timer fires; once, however often it is asked for until then. */
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
