import { setTimeout as sleep } from 'node:timers/promises'
import { countersOf, readExposition, sumExpositions, type Exposition } from './exposition.ts'

/** How long a worker may take to answer: one that is stuck must not make the others unobserved. */
const PATIENCE_MS = 1000

/** How often the counters of all workers are noted, whether somebody scrapes or not. */
const PERIOD_MS = 5000

interface Member {
  readonly read: () => Promise<string>
  /** Its counters as they were last heard. */
  counters: Exposition
}

/**
 * The metrics of all workers together. No counter ever goes down: those of a worker that is gone, or does not answer,
 * count as they were last heard. What a dead worker counted in its last seconds is lost.
 */
export class SummedMetrics {
  readonly #members = new Map<number, Member>()
  #ofGone: Exposition = new Map()
  readonly #timer: NodeJS.Timeout

  constructor() {
    this.#timer = setInterval(() => void this.sum(), PERIOD_MS)
    this.#timer.unref()
  }

  /** @param read gets the worker's own metrics as OpenMetrics */
  add(worker: number, read: () => Promise<string>): void {
    this.#members.set(worker, { read, counters: new Map() })
  }

  remove(worker: number): void {
    const counters = this.#members.get(worker)?.counters
    this.#members.delete(worker)
    if (counters) this.#ofGone = sumExpositions([this.#ofGone, counters])
  }

  async sum(): Promise<Exposition> {
    const limit = new AbortController()
    const late = sleep(PATIENCE_MS, undefined, { signal: limit.signal }).catch(() => undefined)
    const read = await Promise.all(
      [...this.#members].map(async ([worker, { read: ask }]) => {
        const text = await Promise.race([ask().catch(() => undefined), late])
        return { worker, families: text === undefined ? undefined : readExposition(text) }
      }),
    )
    limit.abort()
    const present: Exposition[] = []
    for (const { worker, families } of read) {
      const member = this.#members.get(worker)
      // It has gone in the meantime, and its counters with it to the others.
      if (!member) continue
      if (families) member.counters = countersOf(families)
      present.push(families ?? member.counters)
    }
    return sumExpositions([...present, this.#ofGone])
  }

  close(): void {
    clearInterval(this.#timer)
  }
}
