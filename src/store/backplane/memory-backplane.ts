import type { Amount, Claim, CounterState, Increment, Taken } from '../../access/limit-store.ts'
import { Budget } from '../budget.ts'
import type {
  Append,
  Appended,
  Backplane,
  NameClaim,
  NameClaimed,
  NewStream,
  RecordLifetimes,
  StreamRecord,
} from './backplane.ts'
import { ExpiringMap } from './expiring-map.ts'
import { Inbox } from './inbox.ts'
import { MemoryCounters } from './memory-counters.ts'
import { MemoryNames } from './memory-names.ts'
import { MemoryStreams } from './memory-streams.ts'

/** How long messages wait for somebody who listens: their reader may be gone for good. */
const WAITING_MS = 60_000

export interface MemoryBackplaneOptions {
  /** Memory of everything that is kept, in bytes. Beyond it, the oldest finished streams expire early. */
  maxBytes?: number
  /** A monotonic clock, in milliseconds. */
  now?: () => number
}

interface Listener {
  readonly onMessages: (messages: readonly string[]) => void
  readonly onGap: () => void
}

/**
 * What nodes share, in the memory of one process. Any number of clients may use one instance; for this reason `close`
 * does nothing. Its timers keep no process alive.
 */
export class MemoryBackplane implements Backplane {
  readonly isUp = true
  readonly #now: () => number
  readonly #streams: MemoryStreams
  readonly #names: MemoryNames
  readonly #counters: MemoryCounters
  readonly #leases: ExpiringMap<true>
  readonly #inboxes: ExpiringMap<Inbox>
  readonly #listeners = new Map<string, Listener>()
  readonly #secrets = new Map<string, string>()

  constructor(lifetimes: RecordLifetimes, { maxBytes = Infinity, now = performanceNow }: MemoryBackplaneOptions = {}) {
    const budget = new Budget(maxBytes)
    this.#now = now
    this.#streams = new MemoryStreams(budget, lifetimes, now)
    this.#names = new MemoryNames(budget, lifetimes, now)
    this.#leases = new ExpiringMap(now, (lease) => this.#counters.drop(lease))
    this.#counters = new MemoryCounters(budget, now, (lease) => this.#isHeld(lease))
    this.#inboxes = new ExpiringMap(now)
    budget.reclaimer = this.#streams
  }

  onChange(): void {}

  async createStream(stream: NewStream): Promise<void> {
    this.#streams.create(stream)
  }

  async findStream(id: string): Promise<StreamRecord | undefined> {
    return this.#streams.find(id)
  }

  async append(append: Append, renew: boolean): Promise<Appended> {
    return this.#streams.append(append, renew)
  }

  async readPieces(id: string, after: number, most: number): Promise<string[]> {
    return this.#streams.read(id, after, most)
  }

  async dropStream(id: string, tombstone: boolean): Promise<void> {
    this.#streams.drop(id, tombstone)
  }

  async claimName(name: string, claim: NameClaim): Promise<NameClaimed> {
    return this.#names.claim(name, claim)
  }

  async setName(name: string, id: string): Promise<void> {
    this.#names.set(name, id)
  }

  async findName(name: string): Promise<string | undefined> {
    return this.#names.find(name)
  }

  async settleName(name: string, id: string): Promise<void> {
    this.#names.settle(name, id)
  }

  async renewLease(lease: string, ms: number): Promise<boolean> {
    const wasHeld = this.#isHeld(lease)
    this.#leases.set(lease, true, this.#now() + ms)
    return wasHeld
  }

  async endLease(lease: string): Promise<void> {
    this.#leases.delete(lease)
    this.#counters.drop(lease)
  }

  async areHeld(leases: readonly string[]): Promise<boolean[]> {
    return leases.map((lease) => this.#isHeld(lease))
  }

  async post(inbox: string, messages: readonly string[]): Promise<void> {
    if (messages.length === 0) return
    let waiting = this.#inboxes.get(inbox)
    if (!waiting) this.#inboxes.set(inbox, (waiting = new Inbox()), this.#now() + WAITING_MS)
    const isFirst = waiting.isEmpty
    waiting.add({ messages, gap: false })
    if (isFirst) this.#deliverLater(inbox)
  }

  /** One listener to an inbox: another one takes its place. */
  listen(inbox: string, onMessages: (messages: readonly string[]) => void, onGap: () => void): void {
    this.#listeners.set(inbox, { onMessages, onGap })
    this.#deliverLater(inbox)
  }

  /** Its reader is gone. */
  closeInbox(inbox: string): void {
    this.#listeners.delete(inbox)
    this.#inboxes.delete(inbox)
  }

  async secret(name: string, fresh: string): Promise<string> {
    const secret = this.#secrets.get(name) ?? fresh
    this.#secrets.set(name, secret)
    return secret
  }

  async take(claims: readonly Claim[], lease: string): Promise<Taken> {
    return this.#counters.take(claims, lease)
  }

  async add(increment: Increment, lease: string): Promise<CounterState> {
    return this.#counters.add(increment, lease)
  }

  async giveBack(amounts: readonly Amount[], lease: string): Promise<void> {
    this.#counters.giveBack(amounts, lease)
  }

  async hold(gauges: readonly Amount[], lease: string): Promise<void> {
    this.#counters.hold(gauges, lease)
  }

  async addUsage(date: string, amounts: ReadonlyMap<string, number>): Promise<void> {
    this.#counters.addUsage(date, amounts)
  }

  async readUsage(date: string): Promise<Map<string, number>> {
    return this.#counters.readUsage(date)
  }

  async close(): Promise<void> {}

  #isHeld(lease: string): boolean {
    return this.#leases.get(lease) === true
  }

  /** All that was posted in this turn at once. */
  #deliverLater(inbox: string): void {
    setImmediate(() => {
      const listener = this.#listeners.get(inbox)
      const waiting = listener && this.#inboxes.delete(inbox)?.take()
      if (!listener || !waiting) return
      if (waiting.gap) listener.onGap()
      if (waiting.messages.length > 0) listener.onMessages(waiting.messages)
    })
  }
}

function performanceNow(): number {
  return performance.now()
}
