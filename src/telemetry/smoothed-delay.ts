/** Delays of the last second or so count. */
const WINDOW_MS = 1000

/** Most time for which one delay counts. A pause of the garbage collector is one long delay, an overload is many. */
const MAX_SHARE_MS = 200

/**
 * The mean of delays that are measured from time to time, exponentially weighted. A single delay moves it by at most a
 * fifth of its length.
 */
export class SmoothedDelay {
  /** In milliseconds. */
  mean = 0

  /** @param sinceLast milliseconds since the last measurement */
  observe(delay: number, sinceLast: number): void {
    const weight = 1 - Math.exp(-Math.min(sinceLast, MAX_SHARE_MS) / WINDOW_MS)
    this.mean += weight * (delay - this.mean)
  }
}
