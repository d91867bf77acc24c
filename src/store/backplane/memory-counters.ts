import type { Amount, Claim, CounterState, Increment, Taken } from '../../access/limit-store.ts'
import { NOBODY, storeFull, type Budget } from '../budget.ts'
import { USAGE_MS } from './backplane.ts'
import { ExpiringMap } from './expiring-map.ts'

/** Memory of a counter, apart from its name. */
const COUNTER_BYTES = 400

/** Sums that end, and gauges that are held by leases. */
export class MemoryCounters {
  readonly #budget: Budget
  readonly #now: () => number
  readonly #isHeld: (lease: string) => boolean
  readonly #sums: ExpiringMap<number>
  /** Amounts by name and lease. */
  readonly #gauges = new Map<string, Map<string, number>>()
  readonly #namesOf = new Map<string, Set<string>>()
  readonly #usage: ExpiringMap<Map<string, number>>

  constructor(budget: Budget, now: () => number, isHeld: (lease: string) => boolean) {
    this.#budget = budget
    this.#now = now
    this.#isHeld = isHeld
    this.#sums = new ExpiringMap(now, (name) => this.#charge(name, -1))
    this.#usage = new ExpiringMap(now)
  }

  /** @throws SluiceError `store_full` */
  take(claims: readonly Claim[], lease: string): Taken {
    const used = claims.map((claim) => this.#used(claim))
    const ok = claims.every(({ amount, most }, i) => (used[i] ?? 0) + amount <= most)
    if (ok) {
      const bytes = claims.reduce((sum, { name }) => sum + (this.#has(name) ? 0 : bytesOf(name)), 0)
      if (bytes > 0 && !this.#budget.admits(NOBODY, bytes)) throw storeFull()
      for (const claim of claims) this.#add(claim, lease)
    }
    return { ok, counters: claims.map((claim, i) => this.#stateOf(claim, (used[i] ?? 0) + (ok ? claim.amount : 0))) }
  }

  add(increment: Increment, lease: string): CounterState {
    this.#add(increment, lease)
    return this.#stateOf(increment, this.#used(increment))
  }

  giveBack(amounts: readonly Amount[], lease: string): void {
    for (const { name, amount } of amounts) {
      const held = this.#gauges.get(name)?.get(lease)
      if (held !== undefined) this.#setGauge(name, lease, held - amount)
      const sum = this.#sums.get(name)
      const endsAt = this.#sums.expiryOf(name)
      if (sum === undefined || endsAt === undefined) continue
      // A counter at 0 is like none.
      if (sum > amount) this.#sums.set(name, sum - amount, endsAt)
      else if (this.#sums.delete(name) !== undefined) this.#charge(name, -1)
    }
  }

  hold(gauges: readonly Amount[], lease: string): void {
    if (this.#isHeld(lease)) for (const { name, amount } of gauges) this.#setGauge(name, lease, amount)
  }

  /** What the lease held is given back. */
  drop(lease: string): void {
    for (const name of this.#namesOf.get(lease) ?? []) this.#setGauge(name, lease, 0)
  }

  addUsage(date: string, amounts: ReadonlyMap<string, number>): void {
    let fields = this.#usage.get(date)
    if (!fields) this.#usage.set(date, (fields = new Map()), this.#now() + USAGE_MS)
    for (const [field, amount] of amounts) {
      if (!fields.has(field)) this.#charge(field, 1)
      fields.set(field, capped((fields.get(field) ?? 0) + amount))
    }
  }

  readUsage(date: string): Map<string, number> {
    return new Map(this.#usage.get(date))
  }

  #has(name: string): boolean {
    return this.#sums.get(name) !== undefined || this.#gauges.has(name)
  }

  #used({ name, lastsMs }: Increment): number {
    if (lastsMs !== Infinity) return this.#sums.get(name) ?? 0
    let sum = 0
    for (const [lease, amount] of this.#gauges.get(name) ?? []) if (this.#isHeld(lease)) sum += amount
    return sum
  }

  #add({ name, amount, lastsMs }: Increment, lease: string): void {
    if (amount === 0) return
    if (lastsMs === Infinity) {
      if (this.#isHeld(lease)) this.#setGauge(name, lease, (this.#gauges.get(name)?.get(lease) ?? 0) + amount)
      return
    }
    const sum = this.#sums.get(name)
    if (sum === undefined) this.#charge(name, 1)
    this.#sums.set(name, capped((sum ?? 0) + amount), this.#sums.expiryOf(name) ?? this.#now() + lastsMs)
  }

  #setGauge(name: string, lease: string, amount: number): void {
    const before = this.#gauges.get(name)
    if (amount > 0) {
      if (!before) this.#charge(name, 1)
      const amounts = before ?? new Map<string, number>()
      this.#gauges.set(name, amounts.set(lease, capped(amount)))
      this.#namesOf.set(lease, (this.#namesOf.get(lease) ?? new Set()).add(name))
      return
    }
    const names = this.#namesOf.get(lease)
    names?.delete(name)
    if (names?.size === 0) this.#namesOf.delete(lease)
    if (!before?.delete(lease) || before.size > 0) return
    this.#gauges.delete(name)
    this.#charge(name, -1)
  }

  #stateOf({ name, lastsMs }: Increment, used: number): CounterState {
    if (lastsMs === Infinity) return { used, endsInMs: Infinity }
    const endsAt = this.#sums.expiryOf(name)
    return { used, endsInMs: endsAt === undefined ? lastsMs : endsAt - this.#now() }
  }

  #charge(name: string, times: 1 | -1): void {
    this.#budget.add('records', NOBODY, times * bytesOf(name))
  }
}

/** An upstream may report any number. Beyond the safe integers a sum would no longer grow by what is added. */
function capped(sum: number): number {
  return Math.min(sum, Number.MAX_SAFE_INTEGER)
}

function bytesOf(name: string): number {
  return COUNTER_BYTES + 2 * name.length
}
