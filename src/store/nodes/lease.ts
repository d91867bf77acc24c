import { randomBytes } from 'node:crypto'
import type { Backplane } from '../backplane/backplane.ts'

export interface LeaseOptions {
  /** How long other nodes wait for a sign of life, in milliseconds. */
  leaseMs: number
  /** This process was paused for too long: the others have given up its streams, or soon will. */
  onLost: () => void
  /** The lease was gone though this process was not paused: the backplane may have lost its data. */
  onForgotten: () => void
  /** In milliseconds; the monotonic clock stands still in a suspended virtual machine, the wall clock may be set back. */
  clock?: { monotonic: () => number; wall: () => number }
}

/** A third of the lease, so that one lost attempt does no harm. */
const RENEWALS = 3
/** Ticks per lease: each is proof that the process runs. */
const TICKS = 10

/**
 * The right of this process to write its streams, and its sign of life for other nodes.
 *
 * A pause loses it: `SIGSTOP`, a suspended machine, a blocked event loop. An outage of the backplane does not: a process
 * that runs goes on. If this process alone was cut off, others may have ended its streams; it learns that when it stores
 * the next events. After a loss, new streams run under a new lease.
 */
export class Lease {
  /** Of this process, for as long as it lives: where others send messages, and whose counters are counted. */
  readonly inbox = randomBytes(9).toString('base64url')
  readonly #backplane: Backplane
  readonly #options: LeaseOptions
  readonly #clock: { monotonic: () => number; wall: () => number }
  #epoch = 1
  #validUntil: { monotonic: number; wall: number }
  /** Since when every renewal has succeeded, by the monotonic clock; undefined while they fail. */
  #steadySince: number | undefined
  #isNew = true
  #renewedAt = -Infinity
  #timer: NodeJS.Timeout | undefined

  constructor(backplane: Backplane, options: LeaseOptions) {
    this.#backplane = backplane
    this.#options = options
    this.#clock = options.clock ?? { monotonic: () => performance.now(), wall: () => Date.now() }
    this.#validUntil = this.#inOneLease()
  }

  get name(): string {
    return `${this.inbox}.${this.#epoch}`
  }

  /** Counts the leases of this process. */
  get epoch(): number {
    return this.#epoch
  }

  /** The inbox of the process that holds a lease. */
  static inboxOf(lease: string): string {
    return lease.slice(0, lease.lastIndexOf('.'))
  }

  /** Acquires the lease, and renews it from now on. Never rejects: while it fails, it is tried again. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => this.#tick(), this.#options.leaseMs / TICKS)
    this.#timer.unref()
    await this.#renew()
  }

  /** Whether this process may still write the streams of its current lease. Runs for every batch of every reader. */
  holds(): boolean {
    const { monotonic, wall } = this.#clock
    if (monotonic() < this.#validUntil.monotonic && wall() < this.#validUntil.wall) return true
    this.#lose()
    return false
  }

  /**
   * Whether the backplane has worked for a whole lease. Before that, a lease that is missing proves nothing: its holder
   * may not have had the time to renew it after an outage.
   */
  get isSteady(): boolean {
    return this.#steadySince !== undefined && this.#clock.monotonic() - this.#steadySince >= this.#options.leaseMs
  }

  /** Renews it now: the backplane can be reached again. */
  renew(): void {
    void this.#renew()
  }

  /** Gives it up. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.allSettled([this.#backplane.endLease(this.name), this.#backplane.endLease(this.inbox)])
  }

  #tick(): void {
    if (!this.holds()) return
    const now = this.#clock.monotonic()
    const { leaseMs } = this.#options
    // The process runs, and the backplane does not answer.
    if (this.#validUntil.monotonic - now < leaseMs / RENEWALS) {
      this.#validUntil = this.#inOneLease()
      this.#steadySince = undefined
    }
    if (now - this.#renewedAt >= leaseMs / RENEWALS) void this.#renew()
  }

  async #renew(): Promise<void> {
    const { leaseMs, onForgotten } = this.#options
    const { name } = this
    this.#renewedAt = this.#clock.monotonic()
    const until = this.#inOneLease()
    try {
      const [held] = await Promise.all([
        this.#backplane.renewLease(name, leaseMs),
        this.#backplane.renewLease(this.inbox, leaseMs),
      ])
      // Lost meanwhile.
      if (name !== this.name || !this.holds()) return
      if (until.monotonic > this.#validUntil.monotonic) this.#validUntil = until
      const wasNew = this.#isNew
      this.#isNew = false
      if (!held && !wasNew) {
        this.#steadySince = undefined
        onForgotten()
      }
      this.#steadySince ??= this.#clock.monotonic()
    } catch {
      this.#steadySince = undefined
      this.#isNew = false
    }
  }

  #lose(): void {
    this.#epoch += 1
    this.#isNew = true
    this.#steadySince = undefined
    this.#validUntil = this.#inOneLease()
    this.#options.onLost()
    void this.#renew()
  }

  #inOneLease(): { monotonic: number; wall: number } {
    const { monotonic, wall } = this.#clock
    return { monotonic: monotonic() + this.#options.leaseMs, wall: wall() + this.#options.leaseMs }
  }
}
