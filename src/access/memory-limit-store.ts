import { RateLimiterMemory } from 'rate-limiter-flexible'
import { storeFull, type Budget } from '../store/budget.ts'
import { ExpiryTimer } from '../store/expiry-timer.ts'
import type { Amount, Claim, CounterState, Increment, LimitStore, Taken } from './limit-store.ts'

/** Memory of a counter apart from its name, rounded up; measured with 100,000 of them. */
const COUNTER_BYTES = 300

/** Counters dropped in one turn of the event loop: at midnight millions may end. */
const DROPPED_AT_ONCE = 1000

/** Counters that end in the same second are dropped together. */
const SECOND_MS = 1000

interface Counter {
  readonly client: string
  readonly endsAt: number
}

export interface MemoryLimitStoreOptions {
  /** A monotonic clock, in milliseconds. */
  now?: () => number
}

/** The counters of a single node. Clients choose names of users, so counters are charged to the budget. */
export class MemoryLimitStore implements LimitStore {
  readonly #budget: Budget
  readonly #now: () => number
  /**
   * The sums. They are given no duration: the library would set a timer for each, Node fires a timer of more than 24.8
   * days at once, and the budget would not hear of the end.
   */
  #sums = newSums()
  readonly #counters = new Map<string, Counter>()
  /** Names by the second in which their counters end: few keys, so the next end is found quickly. */
  readonly #ending = new Map<number, Set<string>>()
  readonly #expiry = new ExpiryTimer(
    () => Math.min(...this.#ending.keys()) * SECOND_MS,
    (now) => this.#expire(now),
  )
  /** Calls run one after the other: between a look at a sum and its change, nobody else changes it. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(budget: Budget, { now = () => performance.now() }: MemoryLimitStoreOptions = {}) {
    this.#budget = budget
    this.#now = now
  }

  /** How many counters there are. */
  get size(): number {
    return this.#counters.size
  }

  take(claims: readonly Claim[], client: string): Promise<Taken> {
    return this.#inTurn(async () => {
      const used = await Promise.all(claims.map(({ name }) => this.#used(name)))
      const ok = claims.every(({ amount, most }, i) => (used[i] ?? 0) + amount <= most)
      if (ok) {
        const bytes = claims.reduce((sum, { name }) => sum + (this.#counters.has(name) ? 0 : bytesOf(name)), 0)
        if (bytes > 0 && !this.#budget.admits(client, bytes)) throw storeFull()
        for (const claim of claims) this.#add(claim, client)
      }
      return { ok, counters: claims.map((claim, i) => this.#stateOf(claim, (used[i] ?? 0) + (ok ? claim.amount : 0))) }
    })
  }

  add(increment: Increment, client: string): Promise<CounterState> {
    return this.#inTurn(async () => {
      const used = await this.#used(increment.name)
      // An upstream may report any number. Beyond the safe integers a sum would no longer grow by what is added.
      const amount = Math.min(increment.amount, Number.MAX_SAFE_INTEGER - used)
      this.#add({ ...increment, amount }, client)
      return this.#stateOf(increment, used + amount)
    })
  }

  giveBack(amounts: readonly Amount[]): Promise<void> {
    return this.#inTurn(async () => {
      for (const { name, amount } of amounts) {
        const used = await this.#used(name)
        // A counter at 0 is like none. A month's would be kept for weeks, and clients choose the names of users.
        if (used <= amount) this.#drop(name)
        else void this.#sums.reward(name, amount)
      }
    })
  }

  async close(): Promise<void> {
    this.#expiry.stop()
    for (const [name, { client }] of this.#counters) this.#budget.add('records', client, -bytesOf(name))
    this.#counters.clear()
    this.#ending.clear()
    this.#sums = newSums()
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work)
    this.#last = turn.catch(() => {})
    return turn
  }

  async #used(name: string): Promise<number> {
    const counter = this.#counters.get(name)
    if (!counter) return 0
    if (counter.endsAt > this.#now()) return (await this.#sums.get(name))?.consumedPoints ?? 0
    this.#drop(name)
    return 0
  }

  #add({ name, amount, lastsMs }: Increment, client: string): void {
    if (!this.#counters.has(name)) this.#begin(name, { client, endsAt: this.#now() + lastsMs })
    // It has taken effect when this returns; only its result is a promise.
    void this.#sums.penalty(name, amount)
  }

  #begin(name: string, counter: Counter): void {
    this.#counters.set(name, counter)
    this.#budget.add('records', counter.client, bytesOf(name))
    if (counter.endsAt === Infinity) return
    const second = secondOf(counter)
    let names = this.#ending.get(second)
    if (!names) this.#ending.set(second, (names = new Set()))
    names.add(name)
    this.#expiry.schedule()
  }

  #drop(name: string): void {
    const counter = this.#counters.get(name)
    if (!counter) return
    this.#counters.delete(name)
    this.#budget.add('records', counter.client, -bytesOf(name))
    void this.#sums.delete(name)
    const second = secondOf(counter)
    const names = this.#ending.get(second)
    names?.delete(name)
    if (names?.size === 0) this.#ending.delete(second)
  }

  #stateOf({ name, lastsMs }: Increment, used: number): CounterState {
    const counter = this.#counters.get(name)
    return { used, endsInMs: counter ? counter.endsAt - this.#now() : lastsMs }
  }

  #expire(now: number): void {
    let left = DROPPED_AT_ONCE
    for (const [second, names] of this.#ending) {
      if (second * SECOND_MS > now) continue
      for (const name of names) {
        if (left === 0) return
        left -= 1
        this.#drop(name)
      }
    }
  }
}

function newSums(): RateLimiterMemory {
  return new RateLimiterMemory({ points: 0, duration: 0, keyPrefix: '' })
}

function secondOf({ endsAt }: Counter): number {
  return Math.ceil(endsAt / SECOND_MS)
}

function bytesOf(name: string): number {
  return COUNTER_BYTES + 2 * name.length
}
