/**
 * Collects items, and hands them over together: at once after a quiet time, and otherwise when `gatherMs` have passed
 * since the last time. One timer, however many items there are.
 */
export class Gatherer<T> {
  readonly #gatherMs: number
  readonly #handOver: (items: readonly T[]) => void
  #items = new Set<T>()
  #timer: NodeJS.Timeout | undefined
  #due = 0
  #handedOverAt = -Infinity

  constructor(gatherMs: number, handOver: (items: readonly T[]) => void) {
    this.#gatherMs = gatherMs
    this.#handOver = handOver
  }

  /** @param delayMs overrides the time to wait; everything that waits then goes with it */
  add(item: T, delayMs = this.#handedOverAt + this.#gatherMs - performance.now()): void {
    this.#items.add(item)
    const due = performance.now() + delayMs
    if (this.#timer && this.#due <= due) return
    clearTimeout(this.#timer)
    this.#due = due
    this.#timer = setTimeout(this.#run, Math.max(0, delayMs))
  }

  delete(item: T): void {
    this.#items.delete(item)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#items.clear()
  }

  readonly #run = (): void => {
    this.#timer = undefined
    this.#handedOverAt = performance.now()
    const items = [...this.#items]
    this.#items.clear()
    this.#handOver(items)
  }
}
