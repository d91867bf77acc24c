// When readers get their turn: once this turn of the event loop is over, after a short delay, or in slices of later turns.

import type { Batch, StreamLog } from './stream-log.ts'

/**
 * Wakes of all logs that grew in this turn of the event loop, run by one `setImmediate`. So each reader gets all events
 * of a turn in one write, however many upstreams and network reads they came from.
 */
let pending: (() => void)[] = []

/** Calls `wake` once this turn of the event loop is over. It must not throw: the wakes of other logs come after it. */
export function afterThisTurn(wake: () => void): void {
  if (pending.length === 0) setImmediate(wakeAll)
  pending.push(wake)
}

function wakeAll(): void {
  const wakes = pending
  pending = []
  for (const wake of wakes) wake()
}

/** Throws in a turn of its own, as an uncaught exception, so that the caller can finish its work first. */
export function throwLater(error: unknown): void {
  setImmediate(() => {
    throw error
  })
}

/**
 * Delays flushes, so that deltas coalesce into fewer and larger frames: one timer for all readers, and none while no
 * reader waits.
 */
export class FlushTimer {
  readonly #intervalMs: number
  #waiting = new Set<() => void>()
  #timer: NodeJS.Timeout | undefined

  /** @param intervalMs the longest delay */
  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs
  }

  /** Calls `flush` when the timer fires; once, however often it is asked for until then. */
  wait(flush: () => void): void {
    this.#waiting.add(flush)
    this.#timer ??= setTimeout(this.#flush, this.#intervalMs)
  }

  leave(flush: () => void): void {
    if (!this.#waiting.delete(flush) || this.#waiting.size > 0) return
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  readonly #flush = (): void => {
    const waiting = this.#waiting
    this.#waiting = new Set()
    this.#timer = undefined
    for (const flush of waiting) flush()
  }
}

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
export function readInSlices(
  log: StreamLog,
  end: number,
  visit: (batch: Batch) => void,
  options: { merge?: boolean } = {},
): Promise<void> {
  return new Promise((resolve, reject) => {
    let cursor = 0
    const step: Step = () => {
      try {
        const batch = log.read(cursor, end, options)
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
