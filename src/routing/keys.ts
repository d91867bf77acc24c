import type { Key } from '../../providers/registry.ts'
import { drawOrder, type Random } from './weights.ts'

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
