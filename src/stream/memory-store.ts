import { randomUUID } from 'node:crypto'
import { SluiceError } from '../errors.ts'
import { EMPTY_LOG_BYTES, StreamLog, type LogKeeper } from './stream-log.ts'
import type { Created, Found, Idempotency, StoreLimits, StreamInit, StreamStore } from './stream-store.ts'

/** A tombstone costs about 200 bytes; the oldest make room. */
const MAX_TOMBSTONES = 100_000

/** A stream that is gone is remembered for this many times its retention. */
const TOMBSTONE_RETENTIONS = 12

interface Finished {
  log: StreamLog
  expiresAt: number
}

interface Tombstone {
  owner: string
  forgetAt: number
}

/** Logs in the memory of this process. */
export class MemoryStore implements StreamStore, LogKeeper {
  readonly #limits: StoreLimits
  readonly #logs = new Map<string, StreamLog>()
  /** In the order in which they finished, which is the order in which they expire and in which they make room. */
  readonly #finished = new Map<string, Finished>()
  readonly #tombstones = new Map<string, Tombstone>()
  readonly #idempotency = new Map<string, { id: string; fingerprint: string }>()
  readonly #idempotencyOf = new Map<string, string>()
  #bytes = 0
  #expiry: NodeJS.Timeout | undefined
  #closed = false

  constructor(limits: StoreLimits) {
    this.#limits = limits
  }

  get bytes(): number {
    return this.#bytes
  }

  async create(init: StreamInit): Promise<Created> {
    const joined = init.idempotency && this.#join(init.owner, init.idempotency)
    if (joined) return { log: joined, joined: true }
    if (!this.#makeRoom(EMPTY_LOG_BYTES)) throw storeFull()
    // Not to be guessed: 122 bits, of which Node draws those of many ids at a time.
    const id = `str_${randomUUID().replaceAll('-', '')}`
    const { owner, model, provider, labels } = init
    const log = new StreamLog({ id, owner, model, provider, labels, created: Date.now() }, this)
    this.#logs.set(id, log)
    this.#bytes += log.bytes
    if (init.idempotency) {
      const key = scopedKey(owner, init.idempotency.key)
      this.#idempotency.set(key, { id, fingerprint: init.idempotency.fingerprint })
      this.#idempotencyOf.set(id, key)
    }
    return { log, joined: false }
  }

  async find(id: string, owner: string): Promise<Found> {
    const log = this.#logs.get(id)
    if (log) return log.info.owner === owner ? { status: 'found', log } : { status: 'unknown' }
    const tombstone = this.#tombstones.get(id)
    if (tombstone && tombstone.forgetAt <= Date.now()) this.#tombstones.delete(id)
    else if (tombstone?.owner === owner) return { status: 'expired' }
    return { status: 'unknown' }
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#expiry)
    for (const map of [this.#logs, this.#finished, this.#tombstones, this.#idempotency, this.#idempotencyOf])
      map.clear()
    this.#bytes = 0
  }

  admit(log: StreamLog, bytes: number, final: boolean): void {
    if (!final && log.bytes + bytes > this.#limits.streamMaxBytes)
      throw new SluiceError('stream_too_large', `The stream is larger than ${this.#limits.streamMaxBytes} bytes.`)
    if (this.#closed) return
    if (!this.#makeRoom(bytes) && !final) throw storeFull()
    this.#bytes += bytes
  }

  ended(log: StreamLog): void {
    if (this.#closed) return
    this.#finished.set(log.info.id, { log, expiresAt: Date.now() + this.#limits.retentionMs })
    this.#scheduleExpiry()
  }

  #join(owner: string, { key, fingerprint }: Idempotency): StreamLog | undefined {
    const known = this.#idempotency.get(scopedKey(owner, key))
    if (!known) return undefined
    if (known.fingerprint !== fingerprint)
      throw new SluiceError('idempotency_conflict', 'Idempotency-Key: it was used for a different request.', {
        faults: [{ path: 'Idempotency-Key', message: 'was used for a different request' }],
      })
    const log = this.#logs.get(known.id)
    // What failed or was left is no answer to come back to: trying again is what the key is for.
    const lost = log?.done && (log.done.finish_reason === 'cancelled' || log.done.error?.retryable)
    return lost ? undefined : log
  }

  /** Whether `bytes` more fit, after dropping finished streams, oldest first, if need be. */
  #makeRoom(bytes: number): boolean {
    const room = this.#limits.storeMaxBytes - bytes
    // Asked for every token. What has been deleted from the front of a map is passed over each time it is iterated.
    if (this.#bytes <= room) return true
    for (const id of this.#finished.keys()) {
      this.#bury(id)
      if (this.#bytes <= room) return true
    }
    return false
  }

  #bury(id: string): void {
    const log = this.#logs.get(id)
    if (!log) return
    this.#bytes -= log.bytes
    this.#logs.delete(id)
    this.#finished.delete(id)
    const key = this.#idempotencyOf.get(id)
    if (key !== undefined && this.#idempotency.get(key)?.id === id) this.#idempotency.delete(key)
    this.#idempotencyOf.delete(id)
    const forgetAt = Date.now() + this.#limits.retentionMs * TOMBSTONE_RETENTIONS
    this.#tombstones.set(id, { owner: log.info.owner, forgetAt })
    if (this.#tombstones.size <= MAX_TOMBSTONES) return
    const [oldest = id] = this.#tombstones.keys()
    this.#tombstones.delete(oldest)
  }

  /** One timer, for the finished stream that expires first; none when nothing has finished. */
  #scheduleExpiry(): void {
    if (this.#expiry) return
    const [first] = this.#finished.values()
    if (!first) return
    this.#expiry = setTimeout(() => {
      this.#expiry = undefined
      const now = Date.now()
      for (const [id, { expiresAt }] of this.#finished) {
        if (expiresAt > now) break
        this.#bury(id)
      }
      this.#scheduleExpiry()
    }, first.expiresAt - Date.now())
    this.#expiry.unref()
  }
}

function scopedKey(owner: string, key: string): string {
  return JSON.stringify([owner, key])
}

function storeFull(): SluiceError {
  return new SluiceError('store_full', 'The gateway holds as many streams as it may; try again later.', {
    retryAfter: 5,
  })
}
