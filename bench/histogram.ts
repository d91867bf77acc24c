const BUCKET_MS = 0.01
const BUCKETS = 100_000

/** Durations up to a second, to 10 µs: counting one costs nothing, however many there are. */
export class Histogram {
  readonly #counts = new Uint32Array(BUCKETS + 1)
  #total = 0

  add(milliseconds: number): void {
    this.#counts[Math.min(BUCKETS, Math.floor(milliseconds / BUCKET_MS))]! += 1
    this.#total += 1
  }

  quantiles(wanted: number[]): number[] {
    return wanted.map((share) => {
      let left = Math.ceil(share * this.#total)
      for (let i = 0; i <= BUCKETS; i++) {
        left -= this.#counts[i]!
        if (left <= 0) return i * BUCKET_MS
      }
      return 0
    })
  }
}
