import { randomUUID } from 'node:crypto'
import { SluiceError } from '../errors.ts'
import { Budget, NOBODY, storeFull, type Reclaimer } from './budget.ts'
import { EMPTY_LOG_BYTES, StreamLog, type LogKeeper } from './stream-log.ts'
import { Tombstones } from './tombstones.ts'
import type { Created, Found, Idempotency, StoreLimits, StreamInit, StreamStore } from './stream-store.ts'

/** A tombstone is kept for this many times the retention, and for at least a minute. */
const TOMBSTONE_RETENTIONS = 12
const TOMBSTONE_MS = 60_000

/** Node treats a longer timer as 1 ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** Overhead of an idempotency key, apart from its characters. */
const KEY_BYTES = 600

/** Displaced streams may exceed the limit by this share until their readers have fetched `done`. */
const LEAVING_SHARE = 1 / 8

interface Finished {
  log: StreamLog
  /** By `performance.now()`: the wall clock may be set back. */
  expiresAt: number
}

/** Logs in the memory of this process. */
export class MemoryStore implements StreamStore, LogKeeper, Reclaimer {
  readonly #limits: StoreLimits
  readonly #budget: Budget
  readonly #logs = new Map<string, StreamLog>()
  /** In order of finishing, which is also the order of expiry and of reclaiming. */
  readonly #finished = new Map<string, Finished>()
  /** The same for each client. */
  readonly #finishedOf = new Map<string, Set<string>>()
  /** Displaced streams that are not dropped yet. */
  readonly #leaving = new Set<StreamLog>()
  readonly #tombstones: Tombstones
  /** `replaced`: an earlier stream had the key, so that a cursor may be of that one. */
  readonly #idempotency = new Map<string, { id: string; fingerprint: string; replaced: boolean }>()
  readonly #idempotencyOf = new Map<string, string>()
  #expiry: NodeJS.Timeout | undefined
  #expiresAt = Infinity
  #closed = false

  constructor(limits: StoreLimits, budget = new Budget(limits.storeMaxBytes)) {
    this.#limits = limits
    this.#budget = budget
    const { retentionMs } = limits
    this.#tombstones = new Tombstones(budget, Math.max(retentionMs * TOMBSTONE_RETENTIONS, TOMBSTONE_MS))
    budget.reclaimer = this
  }

  get bytes(): number {
    return this.#budget.held('running') + this.#budget.held('finished')
  }

  async create(init: StreamInit): Promise<Created> {
    const joined = init.idempotency && this.#join(init.owner, init.idempotency)
    if (joined) return { log: joined, joined: true }
    if (init.idempotency?.resuming)
      throw new SluiceError(
        'stream_not_found',
        'The stream of this Idempotency-Key is no longer kept; without Last-Event-ID the request starts another one.',
      )
    const { owner, client = NOBODY, model, provider, protocol, labels, runningBytes = 0 } = init
    const key = init.idempotency && scopedKey(owner, init.idempotency.key)
    const keyBytes = key === undefined ? 0 : keyCost(key)
    if (!this.#budget.admits(client, EMPTY_LOG_BYTES + runningBytes + keyBytes)) throw storeFull()
    // Not to be guessed: 122 bits, of which Node draws those of many ids at a time.
    const id = `str_${randomUUID().replaceAll('-', '')}`
    const info = { id, owner, client, model, provider, protocol, labels, runningBytes, created: Date.now() }
    const log = new StreamLog(info, this)
    this.#logs.set(id, log)
    this.#budget.add('running', client, log.bytes)
    if (runningBytes > 0) this.#budget.add('streams', client, runningBytes)
    if (init.idempotency && key !== undefined) {
      const replaced = this.#idempotency.has(key)
      this.#idempotency.set(key, { id, fingerprint: init.idempotency.fingerprint, replaced })
      this.#idempotencyOf.set(id, key)
      this.#budget.add('records', client, keyBytes)
    }
    return { log, joined: false }
  }

  async find(id: string, owner: string): Promise<Found> {
    const log = this.#logs.get(id)
    if (log) return log.info.owner === owner ? { status: 'found', log } : { status: 'unknown' }
    return { status: this.#tombstones.has(id, owner) ? 'expired' : 'unknown' }
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#expiry)
    for (const id of this.#logs.keys()) this.#drop(id)
    this.#tombstones.clear()
  }

  admit(log: StreamLog, bytes: number, final: boolean): void {
    if (!final && log.bytes + bytes > this.#limits.streamMaxBytes)
      throw new SluiceError('stream_too_large', `The stream is larger than ${this.#limits.streamMaxBytes} bytes.`)
    if (this.#closed) return
    if (!this.#makeRoom(log, bytes) && !final && !this.#displace(log, bytes)) throw storeFull()
    this.#budget.add('running', clientOf(log), bytes)
  }

  held(log: StreamLog, change: number): void {
    if (this.#closed) return
    if (change > 0 && !this.#makeRoom(log, change) && !this.#displace(log, change)) throw storeFull()
    this.#budget.add('streams', clientOf(log), change)
  }

  ended(log: StreamLog): void {
    if (this.#closed) return
    const { id, runningBytes = 0 } = log.info
    const client = clientOf(log)
    this.#budget.add('running', client, -log.bytes)
    this.#budget.add('finished', client, log.bytes)
    if (runningBytes > 0) this.#budget.add('streams', client, -runningBytes)
    this.#finished.set(id, { log, expiresAt: performance.now() + this.#limits.retentionMs })
    let own = this.#finishedOf.get(client)
    if (!own) this.#finishedOf.set(client, (own = new Set()))
    own.add(id)
    this.#scheduleExpiry()
  }

  reclaim(client?: string): boolean {
    const ids = client === undefined ? this.#finished.keys() : (this.#finishedOf.get(client) ?? [])
    for (const id of ids) {
      // Reclaiming it would free nothing: its readers keep it.
      if (this.#finished.get(id)?.log.readers !== 0) continue
      this.#bury(id)
      return true
    }
    return client === undefined && this.#tombstones.dropOldest()
  }

  #join(owner: string, { key, fingerprint, resuming = false }: Idempotency): StreamLog | undefined {
    const known = this.#idempotency.get(scopedKey(owner, key))
    if (!known) return undefined
    if (known.fingerprint !== fingerprint)
      throw new SluiceError('idempotency_conflict', 'Idempotency-Key: it was used for a different request.', {
        faults: [{ path: 'Idempotency-Key', message: 'was used for a different request' }],
      })
    if (resuming && known.replaced) return undefined
    const log = this.#logs.get(known.id)
    // What failed or was left is no answer to come back to: trying again is what the key is for.
    const lost = !resuming && log?.done && (log.done.finish_reason === 'cancelled' || log.done.error?.retryable)
    return lost ? undefined : log
  }

  /**
   * Ends the largest running stream of the client that holds most, so that small streams survive when a large one has
   * filled the memory. False when `log` is that stream, or when too many displaced streams are still being read.
   */
  #displace(log: StreamLog, bytes: number): boolean {
    let leaving = bytes
    for (const each of this.#leaving) leaving += each.bytes
    if (leaving > this.#budget.limit * LEAVING_SHARE) return false
    const largest = this.#largestRunning(log, bytes)
    if (largest === log) return false
    this.#leaving.add(largest)
    largest.displaced = true
    largest.onDisplaced?.(storeFull())
    this.#budget.makeRoom(clientOf(log), bytes)
    return true
  }

  /** Runs for every token. */
  #makeRoom(log: StreamLog, bytes: number): boolean {
    return this.#budget.bytes + bytes <= this.#budget.limit || this.#budget.makeRoom(clientOf(log), bytes)
  }

  /** O(streams), but runs only when the store is full, and then ends a large stream. */
  #largestRunning(grown: StreamLog, by: number): StreamLog {
    const client = clientOf(grown)
    const held = (of: string) => this.#budget.bytesOf(of) + (of === client ? by : 0)
    let largest = grown
    let [mostHeld, mostBytes] = [held(client), sizeOf(grown) + by]
    for (const log of this.#logs.values()) {
      if (log.done || log === grown) continue
      const all = held(clientOf(log))
      if (all < mostHeld || (all === mostHeld && sizeOf(log) <= mostBytes)) continue
      largest = log
      mostHeld = all
      mostBytes = sizeOf(log)
    }
    return largest
  }

  /** Drops a stream and leaves a tombstone. */
  #bury(id: string): void {
    const log = this.#logs.get(id)
    if (!log) return
    this.#drop(id)
    this.#tombstones.add(id, log.info.owner)
  }

  #drop(id: string): void {
    const log = this.#logs.get(id)
    if (!log) return
    const { runningBytes = 0 } = log.info
    const client = clientOf(log)
    const { bytes } = log
    const kind = this.#finished.has(id) ? 'finished' : 'running'
    if (kind === 'running' && runningBytes > 0) this.#budget.add('streams', client, -runningBytes)
    this.#logs.delete(id)
    this.#finished.delete(id)
    const own = this.#finishedOf.get(client)
    own?.delete(id)
    if (own?.size === 0) this.#finishedOf.delete(client)
    const free = () => {
      this.#leaving.delete(log)
      this.#budget.add(kind, client, -bytes)
    }
    // Its readers keep it in memory.
    if (log.readers === 0 || this.#closed) free()
    else {
      const listener = {
        readersChanged() {
          if (log.readers > 0) return
          log.readerCount.unlisten(listener)
          free()
        },
      }
      log.readerCount.listen(listener)
    }
    this.#dropKey(id, client)
  }

  #dropKey(id: string, client: string): void {
    const key = this.#idempotencyOf.get(id)
    if (key === undefined) return
    this.#idempotencyOf.delete(id)
    this.#budget.add('records', client, -keyCost(key))
    if (this.#idempotency.get(key)?.id === id) this.#idempotency.delete(key)
  }

  /** One timer, for the next expiry; none when there is nothing to expire. */
  #scheduleExpiry(): void {
    const [finished] = this.#finished.values()
    const next = Math.min(finished?.expiresAt ?? Infinity, this.#tombstones.nextExpiry)
    if (next >= this.#expiresAt) return
    clearTimeout(this.#expiry)
    this.#expiresAt = next
    this.#expiry = setTimeout(
      () => {
        this.#expiresAt = Infinity
        this.#expire(performance.now())
        this.#scheduleExpiry()
      },
      Math.min(next - performance.now(), LONGEST_TIMER_MS),
    )
    this.#expiry.unref()
  }

  #expire(now: number): void {
    for (const [id, { expiresAt }] of this.#finished) {
      if (expiresAt > now) break
      this.#bury(id)
    }
    this.#tombstones.expire(now)
  }
}

function sizeOf({ bytes, held }: StreamLog): number {
  return bytes + held
}

function clientOf({ info }: StreamLog): string {
  return info.client ?? NOBODY
}

function scopedKey(owner: string, key: string): string {
  return JSON.stringify([owner, key])
}

function keyCost(key: string): number {
  return KEY_BYTES + 2 * key.length
}
