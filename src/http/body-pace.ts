import { SluiceError } from '../errors.ts'
import type { HeartbeatListener } from '../sse/heartbeat.ts'
import type { Hold } from '../store/budget.ts'

/** Reserved for a body before its first bytes arrive. */
export const FIRST_BYTES = 16 * 1024

/** Bytes of a body that must arrive in each period: less than any usable network carries. */
const BYTES_PER_PERIOD = 16 * 1024

export interface BodyPaceOptions {
  /** Grows with the body. */
  hold: Hold
  /** Largest ratio of decompressed to compressed size. */
  ratio: number
  /** Largest body in bytes, decompressed. */
  most: number
  /** Milliseconds in which the next 16 KiB of the body, or its end, must arrive. */
  periodMs: number
}

/** Checks that a body keeps coming, and counts its memory. */
export class BodyPace implements HeartbeatListener {
  /** Rejects when the body is too slow, or when there is no memory for it. */
  readonly failed: Promise<never>
  #fail: (error: SluiceError) => void = () => {}
  readonly #options: BodyPaceOptions
  #held = FIRST_BYTES
  #received = 0
  #periodStart = performance.now()
  #receivedBefore = 0

  constructor(options: BodyPaceOptions) {
    this.#options = options
    this.failed = new Promise((_, reject) => (this.#fail = reject))
    this.failed.catch(() => {})
  }

  add(bytes: number): void {
    const { hold, ratio, most } = this.#options
    this.#received += bytes
    const needed = Math.min(most, ratio * this.#received)
    if (needed <= this.#held) return
    // Reserved ahead, so that the budget is asked once per quarter of growth.
    this.#held = Math.min(most, Math.ceil(1.25 * needed))
    try {
      // A string that grows chunk by chunk takes up to a quarter more than its bytes.
      hold.become('requests', Math.ceil(1.25 * this.#held))
    } catch (error) {
      if (error instanceof SluiceError) this.#fail(error)
    }
  }

  beat(now: number): void {
    if (now - this.#periodStart < this.#options.periodMs) return
    if (this.#received - this.#receivedBefore < BYTES_PER_PERIOD)
      this.#fail(new SluiceError('request_timeout', 'The body of the request came too slowly.'))
    this.#receivedBefore = this.#received
    this.#periodStart = now
  }
}
