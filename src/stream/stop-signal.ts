// The end of a stream, for its parts: what an `AbortSignal` tells, at a fraction of its price.

/** An `AbortSignal` is one. */
export interface StopSignal {
  readonly aborted: boolean
  readonly reason: unknown
  /** @throws the reason, once aborted */
  throwIfAborted(): void
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/**
 * Creating and aborting an `AbortController` takes as long as sending a frame. Providers get one, since their libraries
 * take no other; everything else that belongs to a stream shares one of these.
 */
export class Stopper implements StopSignal {
  #aborted = false
  #reason: unknown
  readonly #listeners = new Set<() => void>()

  get aborted(): boolean {
    return this.#aborted
  }

  get reason(): unknown {
    return this.#reason
  }

  /** The first call wins. */
  abort(reason: unknown): void {
    if (this.#aborted) return
    this.#aborted = true
    this.#reason = reason
    for (const listener of this.#listeners) listener()
    this.#listeners.clear()
  }

  throwIfAborted(): void {
    if (this.#aborted) throw this.#reason
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    if (!this.#aborted) this.#listeners.add(listener)
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.delete(listener)
  }
}
