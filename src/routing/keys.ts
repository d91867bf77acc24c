import type { Key } from '../../providers/registry.ts'
import { drawOrder, type Random } from './weights.ts'

/** The keys of one request: drawn by weight, and those that have been refused only when there is no other. */
export class KeyRing {
  readonly #random: Random
  /** Most requests refuse none. */
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

  /** Whether `draw` would return one that has not been refused. */
  hasFresh(keys: readonly Key[]): boolean {
    return keys.some((key) => !this.#refused?.has(key))
  }
}
