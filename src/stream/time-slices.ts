import type { Batch, StreamLog } from './stream-log.ts'

/** Milliseconds of each turn that all waiting steps may take together. */
const SLICE_MS = 4

/** `last`: long work follows the step, so no other step runs in this turn. */
export type Step = () => 'last' | void

/**
 * Splits work that is too long for one turn of the event loop into steps. Each turn runs waiting steps in order until
 * its slice is used up. A step with more to do asks again, and goes to the end of the queue.
 */
export class TimeSlices {
  readonly #sliceMs: number
  readonly #now: () => number
  /** In order of asking. */
  readonly #waiting = new Set<Step>()
  #scheduled = false

  constructor(sliceMs = SLICE_MS, now = () => performance.now()) {
    this.#sliceMs = sliceMs
    this.#now = now
  }

  /** Calls `step` once in a later turn, even if it is asked for several times. `step` must not throw. */
  ask(step: Step): void {
    this.#waiting.add(step)
    this.#schedule()
  }

  leave(step: Step): void {
    this.#waiting.delete(step)
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.#run)
  }

  readonly #run = (): void => {
    this.#scheduled = false
    const end = this.#now() + this.#sliceMs
    for (const step of this.#waiting) {
      this.#waiting.delete(step)
      if (step() === 'last' || this.#now() >= end) break
    }
    if (this.#waiting.size > 0) this.#schedule()
  }
}

/** Shared by all readers that are behind, so that live readers keep most of each turn. */
export const catchUp = new TimeSlices()

/** Calls `visit` with all batches up to `end`, the first at once, the others in slices. Rejects if `visit` throws. */
export function readInSlices(log: StreamLog, end: number, visit: (batch: Batch) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    let cursor = 0
    const step: Step = () => {
      try {
        const batch = log.read(cursor, end)
        if (batch) visit(batch)
        cursor = batch?.last ?? end
      } catch (error) {
        reject(error)
        return
      }
      if (cursor < end) return catchUp.ask(step)
      resolve()
      // The caller now renders the whole answer as JSON.
      return 'last'
    }
    step()
  })
}
