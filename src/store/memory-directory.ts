import type { Done } from '../stream/events.ts'
import type { StreamInfo } from '../stream/stream-log.ts'
import { NOBODY, type Budget } from './budget.ts'
import {
  freesKey,
  idempotencyConflict,
  nothingToResume,
  type Directory,
  type Idempotency,
  type Located,
  type Names,
  type Registered,
} from './directory.ts'
import { ExpiryTimer } from './expiry-timer.ts'
import { Tombstones } from './tombstones.ts'

/** A tombstone is kept for this many times the retention, and for at least a minute. */
const TOMBSTONE_RETENTIONS = 12
const TOMBSTONE_MS = 60_000

/** How long an expired stream is remembered, in milliseconds. */
export function tombstoneMs(retentionMs: number): number {
  return Math.max(retentionMs * TOMBSTONE_RETENTIONS, TOMBSTONE_MS)
}

/** Overhead of a name, apart from its characters. */
const NAME_BYTES = 600

/** The names of a stream; kept only for streams with a key or an alias. */
interface Named {
  readonly client: string
  readonly key: string | undefined
  readonly alias: string | undefined
  readonly fingerprint: string | undefined
  /** Its stream has ended. */
  ended: boolean
  /** Its key is free for another attempt. */
  lost: boolean
  /** An earlier stream had the same key: a reader that resumes by the key may have read that stream. */
  readonly replaced: boolean
}

/** The streams of this process: they are gone once their logs have left its memory. */
export class MemoryDirectory implements Directory {
  readonly #budget: Budget
  readonly #streams = new Map<string, StreamInfo>()
  readonly #named = new Map<string, Named>()
  /** Ids by key and by alias, within their owner. */
  readonly #keys = new Map<string, string>()
  readonly #aliases = new Map<string, string>()
  readonly #tombstones: Tombstones
  readonly #expiry: ExpiryTimer

  constructor({ retentionMs }: { retentionMs: number }, budget: Budget) {
    this.#budget = budget
    const tombstones = new Tombstones(budget, tombstoneMs(retentionMs))
    this.#tombstones = tombstones
    this.#expiry = new ExpiryTimer(
      () => tombstones.nextExpiry,
      (now) => tombstones.expire(now),
    )
  }

  async create(info: StreamInfo, { idempotency, alias, client = NOBODY }: Names): Promise<Registered> {
    const joined = idempotency && this.#join(info.owner, idempotency)
    if (joined) return { info: joined, joined: true }
    this.#streams.set(info.id, info)
    const key = idempotency && scoped(info.owner, idempotency.key)
    if (idempotency || alias !== undefined)
      this.#name(info.id, {
        client,
        key,
        replaced: key !== undefined && this.#keys.has(key),
        alias: alias === undefined ? undefined : scoped(info.owner, alias),
        fingerprint: idempotency?.fingerprint,
        ended: false,
        lost: false,
      })
    return { info, joined: false }
  }

  async join(owner: string, idempotency: Idempotency): Promise<StreamInfo | undefined> {
    return this.#join(owner, idempotency)
  }

  async find(id: string, owner: string | undefined): Promise<Located> {
    const info = this.#streams.get(id)
    // Looked up in any case: someone else's stream takes as long as none.
    const isExpired = this.#tombstones.has(id, owner)
    if (info && (owner === undefined || info.owner === owner)) return { status: 'found', info }
    return { status: isExpired ? 'expired' : 'unknown' }
  }

  async findByAlias(alias: string, owner: string): Promise<Located> {
    const info = this.#streams.get(this.#aliases.get(scoped(owner, alias)) ?? '')
    return info ? { status: 'found', info } : { status: 'unknown' }
  }

  ended(id: string, done: Done): void {
    const named = this.#named.get(id)
    if (!named) return
    named.lost = freesKey(done)
    this.#charge(named, -1)
    named.ended = true
    this.#charge(named, 1)
  }

  dropped(id: string, client: string): void {
    const info = this.#streams.get(id)
    if (!info) return
    this.#streams.delete(id)
    this.#unname(id)
    this.#tombstones.add(id, info.owner, client)
    this.#expiry.schedule()
  }

  reclaim(): boolean {
    return this.#tombstones.reclaim()
  }

  async close(): Promise<void> {
    this.#expiry.stop()
    for (const id of this.#named.keys()) this.#unname(id)
    this.#streams.clear()
    this.#tombstones.clear()
  }

  #join(owner: string, { key, fingerprint, resuming = false }: Idempotency): StreamInfo | undefined {
    const id = this.#keys.get(scoped(owner, key))
    const named = id === undefined ? undefined : this.#named.get(id)
    if (named && named.fingerprint !== fingerprint) throw idempotencyConflict()
    if (id !== undefined && named && (resuming ? !named.replaced : !named.lost)) return this.#streams.get(id)
    if (!resuming) return undefined
    throw nothingToResume()
  }

  #name(id: string, named: Named): void {
    this.#named.set(id, named)
    if (named.key !== undefined) this.#keys.set(named.key, id)
    if (named.alias !== undefined) this.#aliases.set(named.alias, id)
    this.#charge(named, 1)
  }

  /** Removes a stream's names, except names that another stream has taken over. */
  #unname(id: string): void {
    const named = this.#named.get(id)
    if (!named) return
    this.#named.delete(id)
    const { key, alias } = named
    if (key !== undefined && this.#keys.get(key) === id) this.#keys.delete(key)
    if (alias !== undefined && this.#aliases.get(alias) === id) this.#aliases.delete(alias)
    this.#charge(named, -1)
  }

  #charge(named: Named, times: 1 | -1): void {
    this.#budget.add(named.ended ? 'remembered' : 'records', named.client, times * bytesOf(named))
  }
}

function scoped(owner: string, name: string): string {
  return JSON.stringify([owner, name])
}

function bytesOf({ key, alias }: Named): number {
  return nameBytes(key) + nameBytes(alias)
}

function nameBytes(name: string | undefined): number {
  return name === undefined ? 0 : NAME_BYTES + 2 * name.length
}
