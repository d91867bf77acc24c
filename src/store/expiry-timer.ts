/** Node treats a longer timer as 1 ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** One timer for the next of many expiries; none when there is nothing to expire. Times by `performance.now()`. */
export class ExpiryTimer {
  readonly #next: () => number
  readonly #expire: (now: number) => void
  #timer: NodeJS.Timeout | undefined
  #at = Infinity

  /** @param next when the next expiry is; `Infinity` when there is none */
  constructor(next: () => number, expire: (now: number) => void) {
    this.#next = next
    this.#expire = expire
  }

  /** To be called when there is something new to expire. */
  schedule(): void {
    const next = this.#next()
    if (next >= this.#at) return
    clearTimeout(this.#timer)
    this.#at = next
    this.#timer = setTimeout(this.#run, Math.min(next - performance.now(), LONGEST_TIMER_MS))
    this.#timer.unref()
  }

  /** For good. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#at = -Infinity
  }

  readonly #run = (): void => {
    this.#at = Infinity
    this.#expire(performance.now())
    this.schedule()
  }
}
