import type { Budget } from './budget.ts'

/** Of all clients. Beyond it, the oldest record of the client that has most is dropped. */
const MAX_TOMBSTONES = 100_000

/** Memory of one, with its id and its client; measured with 100,000 clients that have one each. */
const TOMBSTONE_BYTES = 700

/** In one turn of the event loop; one takes up to 25 µs. */
const DROPPED_AT_ONCE = 1000

interface Tombstone {
  readonly owner: string
  /** To which its memory is charged. */
  readonly client: string
  /** By `performance.now()`: the wall clock may be set back. */
  readonly forgetAt: number
}

export interface TombstonesOptions {
  most?: number
}

/**
 * Records of dropped streams, which tell "expired" from "unknown". However many streams a client creates, it displaces no
 * record of a client that has fewer.
 */
export class Tombstones {
  readonly #budget: Budget
  readonly #keepMs: number
  readonly #max: number
  /** In order of expiry. */
  readonly #byId = new Map<string, Tombstone>()
  /** In the same order. */
  readonly #idsOf = new Map<string, Set<string>>()
  /** Clients by how many each has: finds the client that has most without a search. */
  readonly #clientsWith = new Map<number, Set<string>>()
  #most = 0

  constructor(budget: Budget, keepMs: number, { most = MAX_TOMBSTONES }: TombstonesOptions = {}) {
    this.#budget = budget
    this.#keepMs = keepMs
    this.#max = most
  }

  /** When the next one expires; `Infinity` when there is none. */
  get nextExpiry(): number {
    const [oldest] = this.#byId.values()
    return oldest?.forgetAt ?? Infinity
  }

  add(id: string, owner: string, client: string): void {
    this.#byId.set(id, { owner, client, forgetAt: performance.now() + this.#keepMs })
    let ids = this.#idsOf.get(client)
    if (!ids) this.#idsOf.set(client, (ids = new Set()))
    ids.add(id)
    this.#recount(client, ids.size - 1, ids.size)
    this.#budget.add('remembered', client, TOMBSTONE_BYTES)
    if (this.#byId.size > this.#max) this.reclaim()
  }

  /** @param owner undefined for any owner */
  has(id: string, owner: string | undefined): boolean {
    const tombstone = this.#byId.get(id)
    if (!tombstone || (owner !== undefined && tombstone.owner !== owner)) return false
    return tombstone.forgetAt > performance.now()
  }

  /** Drops the oldest record of the client that has most; false when there is none. */
  reclaim(): boolean {
    const [client = ''] = this.#clientsWith.get(this.#most) ?? []
    const [oldest] = this.#idsOf.get(client) ?? []
    if (oldest === undefined) return false
    this.#drop(oldest)
    return true
  }

  clear(): void {
    for (const id of this.#byId.keys()) this.#drop(id)
  }

  /** Drops expired records, a bounded number in one turn. The timer calls again for the rest. */
  expire(now: number): void {
    let left = DROPPED_AT_ONCE
    for (const [id, { forgetAt }] of this.#byId) {
      if (forgetAt > now || left === 0) return
      left -= 1
      this.#drop(id)
    }
  }

  #drop(id: string): void {
    const client = this.#byId.get(id)?.client
    const ids = client === undefined ? undefined : this.#idsOf.get(client)
    if (client === undefined || !ids) return
    this.#byId.delete(id)
    ids.delete(id)
    if (ids.size === 0) this.#idsOf.delete(client)
    this.#recount(client, ids.size + 1, ids.size)
    this.#budget.add('remembered', client, -TOMBSTONE_BYTES)
  }

  /** A client has one more or one less. */
  #recount(client: string, before: number, after: number): void {
    const peers = this.#clientsWith.get(before)
    peers?.delete(client)
    if (peers?.size === 0) this.#clientsWith.delete(before)
    if (after > 0) {
      const others = this.#clientsWith.get(after)
      if (others) others.add(client)
      else this.#clientsWith.set(after, new Set([client]))
    }
    this.#most = Math.max(this.#most, after)
    if (!this.#clientsWith.has(this.#most)) this.#most = Math.max(0, this.#most - 1)
  }
}
