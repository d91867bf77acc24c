/** A cached encoding: its cursor and its size. */
export interface Kept {
  readonly from: number
  readonly bytes: number
}

/**
 * An LRU cache of the encodings of all logs, bounded by `maxBytes`. Each log owns its map; this class references no
 * log, so logs can be garbage-collected.
 */
export class RecentEncodings<E extends Kept> {
  readonly #maxBytes: number
  /** The map of each encoding; the least recently used comes first. */
  readonly #homes = new Map<E, Map<number, E>>()
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  keep(encoding: E, home: Map<number, E>): void {
    home.set(encoding.from, encoding)
    this.#homes.set(encoding, home)
    this.#bytes += encoding.bytes
    for (const [oldest, itsHome] of this.#homes) {
      if (this.#bytes <= this.#maxBytes) return
      this.#homes.delete(oldest)
      this.#bytes -= oldest.bytes
      itsHome.delete(oldest.from)
    }
  }

  find(from: number, home: Map<number, E>): E | undefined {
    const encoding = home.get(from)
    if (!encoding) return undefined
    this.#homes.delete(encoding)
    this.#homes.set(encoding, home)
    return encoding
  }
}
