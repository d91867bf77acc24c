import { within } from '../../within.ts'
import type { StreamLog } from '../../stream/stream-log.ts'
import type { Backplane, RecordLifetimes } from '../backplane/backplane.ts'
import type { Bus, BusHandlers } from '../bus.ts'
import { Follower } from './follower.ts'
import { Lease } from './lease.ts'
import { readMessage, writeMessage } from './messages.ts'
import { Outbox } from './outbox.ts'
import { Publisher } from './publisher.ts'
import type { Registrations } from './registrations.ts'

export interface SharedBusOptions extends Pick<RecordLifetimes, 'runningMs' | 'retentionMs'> {
  leaseMs: number
  observer?: BusObserver
}

export interface BusObserver {
  /** This node was paused for so long that the others have given it up. */
  leaseLost?(): void
  /** Another node has ended a stream that runs here. */
  overtaken?(id: string): void
  /** This node ended a stream whose node is lost. */
  endedLost?(id: string): void
}

/** How often other nodes' leases are checked, in milliseconds. */
const TICK_MS = 500
/** How long closing waits for the last events to be stored, in milliseconds. */
const CLOSE_MS = 5000

interface FollowerNode {
  readers: number
}

/** Connects this node with the others over a backplane. */
export class SharedBus implements Bus {
  readonly #backplane: Backplane
  readonly #options: SharedBusOptions
  readonly #outbox: Outbox
  readonly #publisher: Publisher
  readonly #follower: Follower
  readonly lease: Lease
  #handlers: BusHandlers | undefined
  /** The nodes that follow the streams of this one, by inbox, for each stream. */
  readonly #followers = new Map<string, Map<string, FollowerNode>>()
  #timer: NodeJS.Timeout | undefined
  readonly #onForgotten: (() => void)[] = []

  constructor(backplane: Backplane, registrations: Registrations, options: SharedBusOptions) {
    this.#backplane = backplane
    this.#options = options
    const { leaseMs, observer } = options
    this.lease = new Lease(backplane, {
      leaseMs,
      onLost: () => {
        observer?.leaseLost?.()
        this.#publisher.overtakeAll()
      },
      onForgotten: () => {
        this.#publisher.verifyAll()
        for (const listener of this.#onForgotten) listener()
      },
    })
    this.#outbox = new Outbox(backplane)
    this.#publisher = new Publisher(backplane, this.lease, registrations, options, {
      stored: (id, pieces) => this.#tellFollowers(id, pieces),
      isFollowed: (id) => (this.#followers.get(id)?.size ?? 0) > 0,
      overtaken: (log) => {
        observer?.overtaken?.(log.info.id)
        this.#followers.delete(log.info.id)
        this.#handlers?.withdraw(log.info.id)
      },
    })
    this.#follower = new Follower(backplane, this.lease, options, {
      announce: (id, inbox, readers) =>
        this.#outbox.send(inbox, writeMessage({ type: 'follow', id, from: this.lease.inbox, readers })),
      endedLost: (id) => observer?.endedLost?.(id),
    })
  }

  /** Streams of this node whose end is not stored yet, and streams of others that it follows. */
  get sizes(): { published: number; followed: number } {
    return { published: this.#publisher.size, followed: this.#follower.size }
  }

  /** Takes the lease, and listens. */
  async start(): Promise<void> {
    this.#backplane.onChange((isUp) => {
      if (!isUp) return
      this.lease.renew()
      this.#publisher.verifyAll()
      this.#follower.readAll()
    })
    this.#backplane.listen(
      this.lease.inbox,
      (messages) => messages.forEach((text) => this.#receive(text)),
      () => this.#follower.readAll(),
    )
    await this.lease.start()
    this.#timer = setInterval(() => void this.#tick(), Math.min(TICK_MS, this.#options.leaseMs / 4))
    this.#timer.unref()
  }

  /** Calls `listener` when the others may have taken this node for dead, or the backplane has lost its data. */
  onForgotten(listener: () => void): void {
    this.#onForgotten.push(listener)
  }

  serve(handlers: BusHandlers): void {
    this.#handlers = handlers
  }

  publish(log: StreamLog): void {
    this.#publisher.publish(log)
  }

  unpublish(id: string): void {
    this.#publisher.abandon(id)
  }

  /** Resolves when the end of a stream is known elsewhere, if it has ended here. */
  whenStored(id: string): Promise<void> {
    return this.#publisher.whenStored(id)
  }

  follow(log: StreamLog, fail: (error: unknown) => void): Promise<void> {
    return this.#follower.follow(log, fail)
  }

  async cancel(id: string): Promise<void> {
    await this.#tellOwner(id, 'cancel')
  }

  async forget(id: string): Promise<void> {
    await this.#tellOwner(id, 'forget')
  }

  readers(id: string): void {
    this.#follower.readersChanged(id)
  }

  idle(): Promise<void> {
    return this.#follower.idle()
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    if (this.#backplane.isUp) await within(CLOSE_MS, this.#publisher.idle())
    this.#publisher.stop()
    this.#follower.stop()
    await within(CLOSE_MS, this.lease.stop())
  }

  #receive(text: string): void {
    const message = readMessage(text)
    if (!message) return
    const { id } = message
    switch (message.type) {
      case 'pieces':
        return this.#follower.receive(id, message.pieces)
      case 'follow':
        return this.#followed(id, message.from, message.readers)
      case 'cancel':
        return this.#handlers?.cancel(id)
      case 'forget':
        return this.#handlers?.forget(id)
    }
  }

  #followed(id: string, inbox: string, readers: number): void {
    if (!this.#publisher.has(id)) return
    let nodes = this.#followers.get(id)
    if (!nodes) this.#followers.set(id, (nodes = new Map()))
    const known = nodes.get(inbox)
    nodes.set(inbox, { readers })
    this.#handlers?.readers(id, sumOf(nodes))
    // It may have read before the last pieces were stored.
    if (!known) {
      this.#outbox.sendPieces(inbox, id, [])
      this.#publisher.hurry(id)
    }
    // Said again: nothing has come for a while.
    else if (known.readers === readers) this.#publisher.verify(id)
  }

  #tellFollowers(id: string, pieces: readonly string[]): void {
    for (const inbox of this.#followers.get(id)?.keys() ?? []) this.#outbox.sendPieces(inbox, id, pieces)
  }

  async #tellOwner(id: string, type: 'cancel' | 'forget'): Promise<void> {
    const record = await this.#backplane.findStream(id)
    // A node keeps a finished stream, too, until it is forgotten.
    if (record && (type === 'forget' || !record.ended))
      await this.#backplane.post(Lease.inboxOf(record.lease), [writeMessage({ type, id })])
  }

  async #tick(): Promise<void> {
    const now = performance.now()
    if (!this.lease.holds()) return
    this.#publisher.tick(now)
    const leases = this.#follower.leases()
    const inboxes = new Set<string>()
    for (const [id, nodes] of this.#followers)
      if (this.#publisher.has(id)) for (const inbox of nodes.keys()) inboxes.add(inbox)
      else this.#followers.delete(id)
    const lost = await this.#lostOf([...leases, ...inboxes])
    this.#follower.tick(now, lost)
    for (const [id, nodes] of this.#followers) {
      const before = nodes.size
      // After an outage they may not have had the time to renew their leases.
      if (this.lease.isSteady) for (const inbox of nodes.keys()) if (lost.has(inbox)) nodes.delete(inbox)
      if (nodes.size < before) this.#handlers?.readers(id, sumOf(nodes))
    }
  }

  async #lostOf(leases: readonly string[]): Promise<Set<string>> {
    if (leases.length === 0) return new Set()
    try {
      const held = await this.#backplane.areHeld(leases)
      return new Set(leases.filter((_, i) => held[i] === false))
    } catch {
      return new Set()
    }
  }
}

function sumOf(nodes: ReadonlyMap<string, FollowerNode>): number {
  let sum = 0
  for (const { readers } of nodes.values()) sum += readers
  return sum
}
