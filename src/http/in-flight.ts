/** Counts requests that run, so that a drain can wait for them. */
export class InFlight {
  #count = 0
  #onIdle: (() => void)[] = []

  /** @returns a function to call once, when the request is over */
  enter(): () => void {
    this.#count += 1
    return () => {
      this.#count -= 1
      if (this.#count > 0) return
      for (const resolve of this.#onIdle.splice(0)) resolve()
    }
  }

  /** Resolves when none runs. */
  async idle(): Promise<void> {
    if (this.#count > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve))
  }
}
