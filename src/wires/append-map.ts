/**
 * An immutable map that only grows. All versions share one Map; each sees the entries below its `size`. Adding to the
 * newest version is O(1); adding to an older one copies the Map.
 */
export class AppendMap<K, V> {
  readonly size: number
  /** Undefined while empty; most maps stay empty. */
  readonly #entries: Map<K, { readonly at: number; readonly value: V }> | undefined

  constructor(entries?: Map<K, { at: number; value: V }>, size = 0) {
    this.#entries = entries
    this.size = size
  }

  has(key: K): boolean {
    return this.#find(key) !== undefined
  }

  get(key: K): V | undefined {
    return this.#find(key)?.value
  }

  /** Returns a version with this key added, or `this` if it already has the key. */
  with(key: K, value: V): AppendMap<K, V> {
    if (this.has(key)) return this
    const entries = this.#entries?.size === this.size ? this.#entries : new Map(this.#seen())
    entries.set(key, { at: this.size, value })
    return new AppendMap(entries, this.size + 1)
  }

  /** In order of insertion. */
  *keys(): Generator<K, void, void> {
    for (const [key] of this.#seen()) yield key
  }

  #find(key: K): { at: number; value: V } | undefined {
    const entry = this.#entries?.get(key)
    return entry && entry.at < this.size ? entry : undefined
  }

  *#seen(): Generator<[K, { at: number; value: V }], void, void> {
    if (this.size === 0) return
    for (const entry of this.#entries ?? []) {
      yield entry
      if (entry[1].at === this.size - 1) return
    }
  }
}
