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
 * Creating and aborting an `AbortController` takes as long as sending a frame. So the parts of a stream share one of
 * these, and only who asks for an `AbortSignal` gets one.
 */
export class Stopper implements StopSignal {
  #aborted = false
  #reason: unknown
  /** One or two. */
  #listeners: (() => void)[] = []
  #controller: AbortController | undefined

  get aborted(): boolean {
    return this.#aborted
  }

  get reason(): unknown {
    return this.#reason
  }

  /** The same, for libraries that take nothing else. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController()
      if (this.#aborted) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  /** The first call wins. */
  abort(reason: unknown): void {
    if (this.#aborted) return
    this.#aborted = true
    this.#reason = reason
    // One that an earlier one removes is not called.
    for (let next = this.#listeners.shift(); next; next = this.#listeners.shift()) next()
    this.#controller?.abort(reason)
  }

  throwIfAborted(): void {
    if (this.#aborted) throw this.#reason
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    if (!this.#aborted) this.#listeners.push(listener)
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    if (this.#listeners.length > 0) this.#listeners = this.#listeners.filter((each) => each !== listener)
  }
}

/** Waits so many milliseconds, or until the signal is aborted: then it resolves as well. */
export async function wait(milliseconds: number, signal: StopSignal): Promise<void> {
  if (signal.aborted) return
  let timer: NodeJS.Timeout | undefined
  let onAbort = () => {}
  await new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds)
    onAbort = () => resolve()
    signal.addEventListener('abort', onAbort)
  })
  clearTimeout(timer)
  signal.removeEventListener('abort', onAbort)
}
