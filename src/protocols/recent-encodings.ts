/** What can be kept: it knows where it is to be found, and what it takes. */
export interface Kept {
  readonly from: number
  readonly bytes: number
}

/**
 * Bounds what all logs together keep of what they have encoded: beyond `maxBytes` the least recently used goes. Each log
 * has a map of its own to find them in, by cursor, and is not referred to from here: it may go when its time is over.
 */
export class RecentEncodings<E extends Kept> {
  readonly #maxBytes: number
  /** Where each is kept; the least recently used comes first. */
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
