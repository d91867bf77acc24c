import { ExpiryTimer } from '../expiry-timer.ts'

/** Entries dropped in one turn of the event loop. */
const DROPPED_AT_ONCE = 1000

/** Entries that expire in the same second are dropped together; nobody finds them in the meantime. */
const SECOND_MS = 1000

interface Entry<V> {
  readonly value: V
  readonly at: number
}

/** Values by key, each until its time by the clock that it is given. One timer for all, which keeps no process alive. */
export class ExpiringMap<V> {
  readonly #now: () => number
  readonly #onExpire: (key: string, value: V) => void
  readonly #entries = new Map<string, Entry<V>>()
  /** Keys by the second in which they expire: few seconds, so the next one is found quickly. */
  readonly #ending = new Map<number, Set<string>>()
  /** No second is earlier. */
  #next = Infinity
  readonly #timer = new ExpiryTimer(
    // The timer takes times by `performance.now()`.
    () => this.#next * SECOND_MS - this.#now() + performance.now(),
    () => this.#expire(),
  )

  /** @param onExpire called when the value has left; it may set another one */
  constructor(now: () => number, onExpire: (key: string, value: V) => void = () => {}) {
    this.#now = now
    this.#onExpire = onExpire
  }

  get(key: string): V | undefined {
    for (;;) {
      const entry = this.#entries.get(key)
      if (!entry || entry.at > this.#now()) return entry?.value
      this.#drop(key, entry)
    }
  }

  /** When it expires; undefined when it is not there. */
  expiryOf(key: string): number | undefined {
    return this.get(key) === undefined ? undefined : this.#entries.get(key)?.at
  }

  /** @param at when it expires; in the past, it has expired */
  set(key: string, value: V, at: number): void {
    this.delete(key)
    this.#entries.set(key, { value, at })
    const second = secondOf(at)
    let keys = this.#ending.get(second)
    if (!keys) this.#ending.set(second, (keys = new Set()))
    keys.add(key)
    if (second >= this.#next) return
    this.#next = second
    this.#timer.schedule()
  }

  /** Without a call of `onExpire`. */
  delete(key: string): V | undefined {
    const entry = this.#entries.get(key)
    if (!entry) return undefined
    this.#entries.delete(key)
    const second = secondOf(entry.at)
    const keys = this.#ending.get(second)
    keys?.delete(key)
    if (keys?.size === 0) this.#ending.delete(second)
    return entry.value
  }

  #drop(key: string, { value }: Entry<V>): void {
    this.delete(key)
    this.#onExpire(key, value)
  }

  #expire(): void {
    const now = this.#now()
    let left = DROPPED_AT_ONCE
    for (const [second, keys] of this.#ending) {
      if (second * SECOND_MS > now) continue
      for (const key of keys) {
        if (left === 0) return
        left -= 1
        const entry = this.#entries.get(key)
        if (entry) this.#drop(key, entry)
      }
    }
    this.#next = Infinity
    for (const second of this.#ending.keys()) this.#next = Math.min(this.#next, second)
  }
}

function secondOf(at: number): number {
  return Math.ceil(at / SECOND_MS)
}
