// What is tried for a request: its targets in a random order by weight, each with one of its keys.

import type { Provider } from '../../providers/provider.ts'
import type { Key } from '../../providers/registry.ts'
import type { Breaker } from './breaker.ts'

/** In milliseconds; undefined means no limit. */
export interface Timeouts {
  /** For connecting to the upstream, TLS included. */
  connectTimeoutMs: number
  /** From the start of an attempt to its first token. */
  firstTokenTimeoutMs: number
  /** Of silence after the first token. */
  idleTimeoutMs: number
  /** For the whole of an attempt. */
  totalTimeoutMs: number | undefined
}

/** One model of one provider, with its settings. */
export interface Target {
  /** As in the configuration: `provider/model`. */
  readonly name: string
  readonly provider: Provider
  /** The provider's name for the model. */
  readonly model: string
  readonly options: Readonly<Record<string, unknown>>
  /** API keys: each attempt draws one. Empty when the provider needs none. */
  readonly keys: readonly Key[]
  readonly timeouts: Timeouts
  /** Most retries for one request. */
  readonly retries: number
  readonly breaker: Breaker
}

/** The targets to try for a request. */
export interface Plan {
  /** The public name of the requested model. */
  readonly model: string
  /** Never empty; in the order in which they are tried. */
  readonly targets: readonly [Target, ...Target[]]
  /** Parameters of the request that the first target leaves out. */
  readonly ignored?: readonly string[]
}

/** A number in [0, 1). */
export type Random = () => number

/**
 * All items in random order, as if drawn one by one by weight without replacement: each gets an exponentially
 * distributed arrival time with its weight as the rate, and the times are sorted.
 */
export function drawOrder<T extends { readonly weight: number }>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, arrival: -Math.log(1 - random()) / item.weight }))
    .toSorted((a, b) => a.arrival - b.arrival)
    .map(({ item }) => item)
}

/** Draws API keys for one request by weight. Draws a refused key only when no other is left. */
export class KeyRing {
  readonly #random: Random
  /** Keys that the upstream refused; created lazily, as most requests have none. */
  #refused: Set<Key> | undefined

  constructor(random: Random) {
    this.#random = random
  }

  /** @returns undefined when there are no keys */
  draw(keys: readonly Key[]): Key | undefined {
    if (keys.length <= 1) return keys[0]
    const fresh = keys.filter((key) => !this.#refused?.has(key))
    return drawOrder(fresh.length > 0 ? fresh : keys, this.#random)[0]
  }

  refuse(key: Key): void {
    ;(this.#refused ??= new Set()).add(key)
  }

  /** Whether `draw` would return a key that has not been refused. */
  hasFresh(keys: readonly Key[]): boolean {
    return keys.some((key) => !this.#refused?.has(key))
  }
}
