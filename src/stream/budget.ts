import { SluiceError } from '../errors.ts'

/**
 * What memory is held for.
 *
 * - `running`, `finished`: logs of streams that run, and of those that can still be read
 * - `streams`: what a running stream takes beside its log
 * - `readers`: what a reader of a stream takes
 * - `requests`: bodies that are being read
 * - `prompts`: requests whose answers have not begun
 * - `responses`: what callers have not read yet
 * - `records`: idempotency keys, and what is remembered of expired streams
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
] as const
export type MemoryKind = (typeof MEMORY_KINDS)[number]

/** Frees memory that is held for convenience only. */
export interface Reclaimer {
  /** Drops the stream that finished first, of one client or of all; false when there is none to drop. */
  reclaim(client?: string): boolean
}

export interface BudgetOptions {
  /**
   * A client may hold this many times the memory that is free. With 3, it gets three quarters of all when it is alone,
   * and two that take all they can have three sevenths each: there is always room for one more client, and for streams
   * to grow. Dynamic thresholds, as switches share their buffers: https://doi.org/10.1109/90.664262
   */
  timesFree?: number
}

interface Account {
  bytes: number
  /** Of those, what can be reclaimed. */
  finished: number
}

/**
 * The memory of the process that grows with what clients and upstreams do, all kinds of it together, and how much of
 * it each client (an address) may hold.
 *
 * Sizes are estimates, and everything is synchronous: between a check and what it allows, nothing else happens.
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

  /** Counts what has been allocated, or freed when negative, whether it fits or not. */
  add(kind: MemoryKind, client: string, bytes: number): void {
    this.#held[kind] += bytes
    this.#bytes += bytes
    let account = this.#accounts.get(client)
    if (!account) this.#accounts.set(client, (account = { bytes: 0, finished: 0 }))
    account.bytes += bytes
    if (kind === 'finished') account.finished += bytes
    if (account.bytes === 0) this.#accounts.delete(client)
  }

  /** Whether a client may begin something that takes `bytes`, once finished streams have made room for it. */
  allows(client: string, bytes: number): boolean {
    const { bytes: held, finished } = this.#accounts.get(client) ?? { bytes: 0, finished: 0 }
    const free = this.limit - (this.#bytes - this.#held.finished) - bytes
    return held - finished + bytes <= this.#timesFree * free
  }

  /** The same, and finished streams have made room. */
  admits(client: string, bytes: number): boolean {
    return this.allows(client, bytes) && this.makeRoom(client, bytes)
  }

  /** Whether `bytes` more fit. Finished streams make room, those first that finished first. */
  makeRoom(client: string, bytes: number): boolean {
    while (this.#bytes + bytes > this.limit) {
      // Who fills the store with answers loses them before others do.
      const own = this.bytesOf(client) > this.limit / 2 ? client : undefined
      if (!this.#reclaim(own) && !(own !== undefined && this.#reclaim())) return false
    }
    return true
  }

  /** Takes memory for something that begins. @throws SluiceError `store_full` */
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

  /** What is held is something else now, and of another size. @throws SluiceError `store_full`, with nothing changed */
  become(kind: MemoryKind, bytes: number): void {
    if (bytes > this.#bytes && !this.#budget.admits(this.#client, bytes - this.#bytes)) throw storeFull()
    this.resize(kind, bytes)
  }

  /** The same, whether it fits or not. */
  resize(kind: MemoryKind, bytes: number): void {
    this.#budget.add(this.#kind, this.#client, -this.#bytes)
    this.#kind = kind
    this.#bytes = bytes
    this.#budget.add(kind, this.#client, bytes)
  }

  /** The second time it does nothing. */
  release(): void {
    if (this.#bytes === 0) return
    this.#budget.add(this.#kind, this.#client, -this.#bytes)
    this.#bytes = 0
  }
}

export function storeFull(): SluiceError {
  return new SluiceError('store_full', 'The gateway has no memory left for this; try again later.', { retryAfter: 5 })
}
