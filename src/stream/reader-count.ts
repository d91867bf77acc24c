export interface ReaderListener {
  readersChanged(): void
}

const NOBODY: readonly ReaderListener[] = []

/**
 * How many readers a stream has: the sum over all sources, such as the subscriptions of this process, the request that
 * created the stream, and other nodes that follow it.
 */
export class ReaderCount {
  #total = 0
  /** Replaced, never changed: a listener may stop listening while it is called. */
  #listeners = NOBODY

  get total(): number {
    return this.#total
  }

  /** `by` readers more. With 0, a reader was here that does not stay, such as one that polls. */
  change(by: number): void {
    this.#total += by
    for (const listener of this.#listeners) listener.readersChanged()
  }

  /** Adds one reader. The returned function removes it; a second call of it does nothing. */
  enter(): () => void {
    const set = this.addSource()
    set(1)
    return () => set(0)
  }

  /** Adds a source. The returned function sets how many readers it has; the same number again is a sign of life. */
  addSource(): (count: number) => void {
    let counted = 0
    return (count) => {
      const by = count - counted
      counted = count
      this.change(by)
    }
  }

  /** Calls `listener.readersChanged` after every change. */
  listen(listener: ReaderListener): void {
    this.#listeners = this.#listeners.concat(listener)
  }

  unlisten(listener: ReaderListener): void {
    const rest = this.#listeners.filter((each) => each !== listener)
    this.#listeners = rest.length > 0 ? rest : NOBODY
  }
}
