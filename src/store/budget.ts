import { SluiceError } from '../errors.ts'

/**
 * What counted memory is for.
 *
 * - `running`, `finished`: logs of running streams; logs of finished streams in retention
 * - `streams`: a running stream, apart from its log
 * - `readers`: the readers of streams
 * - `requests`: bodies that are being read
 * - `prompts`: requests whose answers have not begun
 * - `responses`: answers that callers have not read yet
 * - `records`: names of running streams, such as idempotency keys, and counters of limits
 * - `remembered`: names of finished streams, and tombstones of expired ones
 */
export const MEMORY_KINDS = [
  'running',
  'finished',
  'streams',
  'readers',
  'requests',
  'prompts',
  'responses',
  'records',
  'remembered',
] as const
export type MemoryKind = (typeof MEMORY_KINDS)[number]

/** Account for memory that belongs to no client. */
export const NOBODY = ''

/** Kinds that reclaiming can free. */
const RECLAIMABLE: ReadonlySet<MemoryKind> = new Set(['finished', 'remembered'])

/** Frees memory that is not needed to serve running streams. */
export interface Reclaimer {
  /** Drops the oldest finished stream, of one client or of all; false when there is none to drop. */
  reclaim(client?: string): boolean
}

export interface BudgetOptions {
  /**
   * A client may hold this many times the free memory. With 3, a single client gets at most three quarters, and two
   * greedy clients get three sevenths each: there is always room for another client, and for streams to grow. Switches
   * share their buffers by such dynamic thresholds: https://doi.org/10.1109/90.664262
   */
  timesFree?: number
}

interface Account {
  bytes: number
  /** The part that reclaiming can free. */
  reclaimable: number
}

/**
 * Bounds the memory that clients and upstreams make the process hold, in total and for each client (an address).
 *
 * Sizes are estimates. Everything is synchronous: nothing happens between a check and the allocation that it allows.
 */
export class Budget {
  readonly limit: number
  readonly #timesFree: number
  reclaimer: Reclaimer | undefined
  readonly #accounts = new Map<string, Account>()
  readonly #held: Record<MemoryKind, number> = {
    running: 0,
    finished: 0,
    streams: 0,
    readers: 0,
    requests: 0,
    prompts: 0,
    responses: 0,
    records: 0,
    remembered: 0,
  }
  #bytes = 0

  /** @param limit in bytes */
  constructor(limit: number, { timesFree = Number.MAX_SAFE_INTEGER }: BudgetOptions = {}) {
    this.limit = limit
    this.#timesFree = timesFree
  }

  get bytes(): number {
    return this.#bytes
  }

  held(kind: MemoryKind): number {
    return this.#held[kind]
  }

  bytesOf(client: string): number {
    return this.#accounts.get(client)?.bytes ?? 0
  }

  /** Counts an allocation, or a release when `bytes` is negative, without a check. */
  add(kind: MemoryKind, client: string, bytes: number): void {
    this.#held[kind] += bytes
    this.#bytes += bytes
    let account = this.#accounts.get(client)
    if (!account) this.#accounts.set(client, (account = { bytes: 0, reclaimable: 0 }))
    account.bytes += bytes
    if (RECLAIMABLE.has(kind)) account.reclaimable += bytes
    if (account.bytes === 0) this.#accounts.delete(client)
  }

  /** Whether a client may start something that takes `bytes`, if finished streams are reclaimed. */
  allows(client: string, bytes: number): boolean {
    const { bytes: held, reclaimable } = this.#accounts.get(client) ?? { bytes: 0, reclaimable: 0 }
    const free = this.limit - (this.#bytes - this.#held.finished - this.#held.remembered) - bytes
    return held - reclaimable + bytes <= this.#timesFree * free
  }

  /** Like `admits`, but reclaims nothing. */
  hasRoom(client: string, bytes: number): boolean {
    return this.allows(client, bytes) && this.#bytes + bytes <= this.limit
  }

  /** Like `allows`, and reclaims finished streams if needed. */
  admits(client: string, bytes: number): boolean {
    return this.allows(client, bytes) && this.makeRoom(client, bytes)
  }

  /** Whether `bytes` more fit. Reclaims finished streams if needed, oldest first. */
  makeRoom(client: string, bytes: number): boolean {
    while (this.#bytes + bytes > this.limit) {
      // A client with more than half of the memory loses its own finished streams first.
      const own = this.bytesOf(client) > this.limit / 2 ? client : undefined
      if (!this.#reclaim(own) && !(own !== undefined && this.#reclaim())) return false
    }
    return true
  }

  /** Reserves memory for something that starts. @throws SluiceError `store_full` */
  hold(kind: MemoryKind, client: string, bytes: number): Hold {
    if (!this.admits(client, bytes)) throw storeFull()
    return new Hold(this, kind, client, bytes)
  }

  #reclaim(client?: string): boolean {
    return this.reclaimer?.reclaim(client) ?? false
  }
}

/** Memory that is held until it is released. */
export class Hold {
  readonly #budget: Budget
  readonly #client: string
  #kind: MemoryKind
  #bytes: number

  constructor(budget: Budget, kind: MemoryKind, client: string, bytes: number) {
    this.#budget = budget
    this.#kind = kind
    this.#client = client
    this.#bytes = bytes
    budget.add(kind, client, bytes)
  }

  /** Changes kind and size. @throws SluiceError `store_full`; nothing has changed then. */
  become(kind: MemoryKind, bytes: number): void {
    if (bytes > this.#bytes && !this.#budget.admits(this.#client, bytes - this.#bytes)) throw storeFull()
    this.resize(kind, bytes)
  }

  /** Reserves more. @throws SluiceError `store_full`; nothing has changed then. */
  grow(bytes: number): void {
    this.become(this.#kind, this.#bytes + bytes)
  }

  /** Changes kind and size without a check. */
  resize(kind: MemoryKind, bytes: number): void {
    this.#budget.add(this.#kind, this.#client, -this.#bytes)
    this.#kind = kind
    this.#bytes = bytes
    this.#budget.add(kind, this.#client, bytes)
  }

  /** Idempotent. */
  release(): void {
    if (this.#bytes === 0) return
    this.#budget.add(this.#kind, this.#client, -this.#bytes)
    this.#bytes = 0
  }
}

export function storeFull(): SluiceError {
  return new SluiceError('store_full', 'The gateway has no memory left for this; try again later.', { retryAfter: 5 })
}
