import { Breaker, type BreakerOptions } from './breaker.ts'

/** Bounds the number of breakers: a provider that accepts any model lets clients invent names. */
const MAX_BREAKERS = 1024

/** The breakers of all targets. */
export class Breakers {
  readonly #options: BreakerOptions
  readonly #breakers = new Map<string, { provider: string; breaker: Breaker }>()

  constructor(options: BreakerOptions) {
    this.#options = options
  }

  of(provider: string, model: string): Breaker {
    const target = `${provider}/${model}`
    const entry = this.#breakers.get(target) ?? { provider, breaker: new Breaker(this.#options) }
    // A Map keeps insertion order, so re-inserting makes its first entry the least recently used.
    this.#breakers.delete(target)
    this.#breakers.set(target, entry)
    const [oldest] = this.#breakers.keys()
    if (oldest !== undefined && this.#breakers.size > MAX_BREAKERS) this.#breakers.delete(oldest)
    return entry.breaker
  }

  /** How many breakers of a provider are open. */
  countOpen(provider: string): number {
    let count = 0
    for (const each of this.#breakers.values()) if (each.provider === provider && each.breaker.open) count += 1
    return count
  }
}
