import { NOBODY, type Budget } from './budget.ts'

/** Beyond this number the oldest are dropped. */
const MAX_TOMBSTONES = 100_000
const TOMBSTONE_BYTES = 200

interface Tombstone {
  owner: string
  /** By `performance.now()`: the wall clock may be set back. */
  forgetAt: number
}

/** Records of dropped streams, which tell "expired" from "unknown". In order of expiry. */
export class Tombstones {
  readonly #budget: Budget
  readonly #keepMs: number
  readonly #byId = new Map<string, Tombstone>()

  constructor(budget: Budget, keepMs: number) {
    this.#budget = budget
    this.#keepMs = keepMs
  }

  /** When the next one expires; `Infinity` when there is none. */
  get nextExpiry(): number {
    const [oldest] = this.#byId.values()
    return oldest?.forgetAt ?? Infinity
  }

  add(id: string, owner: string): void {
    this.#byId.set(id, { owner, forgetAt: performance.now() + this.#keepMs })
    this.#budget.add('records', NOBODY, TOMBSTONE_BYTES)
    if (this.#byId.size > MAX_TOMBSTONES) this.dropOldest()
  }

  has(id: string, owner: string): boolean {
    const tombstone = this.#byId.get(id)
    return tombstone?.owner === owner && tombstone.forgetAt > performance.now()
  }

  /** False when there is none. */
  dropOldest(): boolean {
    const [oldest] = this.#byId.keys()
    if (oldest === undefined) return false
    this.#byId.delete(oldest)
    this.#budget.add('records', NOBODY, -TOMBSTONE_BYTES)
    return true
  }

  clear(): void {
    this.#budget.add('records', NOBODY, -TOMBSTONE_BYTES * this.#byId.size)
    this.#byId.clear()
  }

  /** Drops those that expire at `now` or before. */
  expire(now: number): void {
    while (this.nextExpiry <= now) this.dropOldest()
  }
}
