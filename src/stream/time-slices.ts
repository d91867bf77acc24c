import type { Batch, StreamLog } from './stream-log.ts'

/** How much of each turn of the event loop all that is behind may take together, in milliseconds. */
const SLICE_MS = 4

/** `last`: what follows it is long, so that it is the last of its turn. */
export type Step = () => 'last' | void

/**
 * Work that is too long for one turn of the event loop, done in steps: in each turn the steps that wait, first come,
 * first served, until the turn's slice is used up. A step that has more to do asks again, and is the last in line.
 */
export class TimeSlices {
  readonly #sliceMs: number
  readonly #now: () => number
  /** In the order in which they asked. */
  readonly #waiting = new Set<Step>()
  #scheduled = false

  constructor(sliceMs = SLICE_MS, now = () => performance.now()) {
    this.#sliceMs = sliceMs
    this.#now = now
  }

  /** Calls `step` in a later turn; once, however often it asks until then. It must not throw. */
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

/** Shared by all that catch up with a log, so that together they leave the turn to those who are live. */
export const catchUp = new TimeSlices()

/** Shows all batches up to `end` to `visit`, the first at once and the others in slices. Rejects when `visit` throws. */
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
      // A whole answer is about to be written as JSON.
      return 'last'
    }
    step()
  })
}
