import { lastOf } from '../../stream/piece.ts'
import type { StreamLog } from '../../stream/stream-log.ts'
import type { Backplane, RecordLifetimes, StoredPiece } from '../backplane/backplane.ts'
import { Gatherer } from './gatherer.ts'
import type { Lease } from './lease.ts'
import type { Registrations } from './registrations.ts'

export interface PublisherEvents {
  /** These pieces are stored from now on, so other nodes may show them. */
  stored(id: string, pieces: readonly string[]): void
  /** Whether another node reads along. */
  isFollowed(id: string): boolean
  /** Another node has ended the stream: its log here must not be shown any longer. */
  overtaken(log: StreamLog): void
}

/** Events of a followed stream that arrive within this time are stored together, in milliseconds. */
const GATHER_MS = 10
/**
 * The same for a stream that no other node follows, as most are: several tokens then share a command. A node that is
 * killed loses the events of this time.
 */
const GATHER_UNFOLLOWED_MS = 100
/** Most characters of JSON in one call. */
const MOST_CHARACTERS = 256 * 1024
/** Between two attempts to store, in milliseconds. */
const RETRY_MS = 500
/** How long the end of a stream is stored again if a failover has lost it, in milliseconds. */
const REMEMBER_MS = 60_000
/** Ids that are remembered; the records of further streams stay until they expire. */
const MOST_GIVEN_UP = 10_000

interface Publication {
  readonly log: StreamLog
  readonly lease: string
  readonly unwatch: () => void
  /** The seq of the last event that is known to be stored. */
  stored: number
  isSending: boolean
  /** The log has left the memory of the store. */
  isDropped: boolean
  /** Asks where the stream is, even if there is nothing to store. */
  mustAsk: boolean
  renewedAt: number
  /** Not to be tried before, by `performance.now()`. */
  retryAt: number
  /** Called once its end is stored, or it is given up. */
  readonly onStored: (() => void)[]
}

/**
 * Copies the logs of this process to the backplane. Each copy is a cursor on its log, as every reader is: nothing is
 * queued, and what cannot be stored yet is read again from the log. No writer or reader ever waits for it.
 */
export class Publisher {
  readonly #backplane: Backplane
  readonly #lease: Lease
  readonly #registrations: Registrations
  readonly #events: PublisherEvents
  /** A quarter of the life of a running stream's records. */
  readonly #renewMs: number
  readonly #rememberMs: number
  readonly #running = new Map<string, Publication>()
  /** Finished and stored a short time ago. */
  readonly #finished = new Map<string, { log: WeakRef<StreamLog>; at: number }>()
  readonly #soon = new Gatherer<Publication>(GATHER_MS, (all) => this.#sendAll(all))
  readonly #later = new Gatherer<Publication>(GATHER_UNFOLLOWED_MS, (all) => this.#sendAll(all))
  /** Streams whose logs left the memory before their ends could be stored. */
  readonly #givenUp = new Set<string>()
  #onIdle: (() => void)[] = []

  constructor(
    backplane: Backplane,
    lease: Lease,
    registrations: Registrations,
    { runningMs, retentionMs }: Pick<RecordLifetimes, 'runningMs' | 'retentionMs'>,
    events: PublisherEvents,
  ) {
    this.#backplane = backplane
    this.#lease = lease
    this.#registrations = registrations
    this.#renewMs = runningMs / 4
    this.#rememberMs = Math.min(REMEMBER_MS, retentionMs)
    this.#events = events
  }

  /** Streams whose end is not stored yet. */
  get size(): number {
    return this.#running.size
  }

  /** Publishes a log until its `done`. @param stored the seq of the last event that is believed to be stored */
  publish(log: StreamLog, stored = 0): void {
    const epoch = this.#registrations.get(log.info.id)?.epoch ?? this.#lease.epoch
    const lease = this.#lease.name
    const publication: Publication = {
      log,
      lease,
      unwatch: log.watch(() => this.#changed(publication)),
      stored,
      isSending: false,
      isDropped: false,
      mustAsk: false,
      renewedAt: performance.now(),
      retryAt: 0,
      onStored: [],
    }
    if (!log.done) log.isOurs = () => this.#lease.epoch === epoch && this.#lease.holds()
    this.#running.set(log.info.id, publication)
    if (log.last > stored) this.#changed(publication)
  }

  /** Another node reads along from now on. */
  hurry(id: string): void {
    const publication = this.#running.get(id)
    if (publication && publication.stored < publication.log.last) this.#changed(publication)
  }

  /** Whether the stream runs here, or has just ended here. */
  has(id: string): boolean {
    return this.#running.has(id) || this.#finished.has(id)
  }

  /**
   * The log has left the memory of the store. Its end is on its way, unless the backplane is away: then the stream is
   * given up, so that an outage cannot fill the memory.
   */
  abandon(id: string): void {
    const publication = this.#running.get(id)
    if (!publication) return this.#forget(id)
    publication.isDropped = true
    if (!this.#backplane.isUp) this.#giveUp(publication)
  }

  /** Makes sure that a stream is stored as it is here: a node that follows it has seen nothing for a while. */
  verify(id: string): void {
    const finished = this.#finished.get(id)?.log.deref()
    if (finished) {
      this.#finished.delete(id)
      this.publish(finished, finished.last)
    }
    const publication = this.#running.get(id)
    if (!publication) return
    publication.mustAsk = true
    this.#changed(publication)
  }

  /** Makes sure of all streams: the backplane was away, or has lost data. */
  verifyAll(): void {
    const givenUp = [...this.#givenUp]
    this.#givenUp.clear()
    // No node may wait for their end.
    for (const id of givenUp) this.#backplane.dropStream(id, true).catch(() => this.#givenUp.add(id))
    for (const id of [...this.#running.keys(), ...this.#finished.keys()]) this.verify(id)
  }

  /** This process has lost its lease: every stream whose end is not stored may have another end elsewhere. */
  overtakeAll(): void {
    for (const publication of this.#running.values()) this.#overtaken(publication)
  }

  /** Prolongs the records of silent streams, and forgets what is long finished. */
  tick(now: number): void {
    for (const [id, { at }] of this.#finished) if (now - at > this.#rememberMs) this.#forget(id)
    for (const [id, { renewedAt }] of this.#running) if (now - renewedAt > this.#renewMs) this.verify(id)
  }

  /** Resolves when everything is stored. */
  async idle(): Promise<void> {
    if (this.#running.size > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve))
  }

  stop(): void {
    this.#soon.stop()
    this.#later.stop()
    for (const publication of this.#running.values()) this.#remove(publication)
    this.#finished.clear()
  }

  /** The end of a stream that has ended here, and may not be known elsewhere yet. */
  async whenStored(id: string): Promise<void> {
    const publication = this.#running.get(id)
    if (publication?.log.done) await new Promise<void>((resolve) => publication.onStored.push(resolve))
  }

  #changed(publication: Publication): void {
    const { log, isSending, mustAsk, retryAt } = publication
    if (isSending) return
    const waits = retryAt - performance.now()
    if (waits > 0) return this.#later.add(publication, waits)
    // A client that has seen the end may go on at another node at once.
    if (log.done) this.#soon.add(publication, 0)
    else if (mustAsk || this.#events.isFollowed(log.info.id)) this.#soon.add(publication)
    else this.#later.add(publication)
  }

  #sendAll(publications: readonly Publication[]): void {
    // All streams are looked after when it is back.
    if (!this.#backplane.isUp) return this.#giveUpDropped()
    for (const publication of publications) void this.#send(publication)
  }

  async #send(publication: Publication): Promise<void> {
    const { log, lease, stored: after, mustAsk } = publication
    if (publication.isSending || this.#running.get(log.info.id) !== publication) return
    const { pieces, ends } = takePieces(log, after)
    if (pieces.length === 0 && !mustAsk) return
    if (performance.now() < publication.retryAt) return this.#changed(publication)
    // A stale writer does not even ask.
    if (log.withdrawn) return this.#overtaken(publication)
    const { id } = log.info
    const now = performance.now()
    const renew = mustAsk || now - publication.renewedAt > this.#renewMs
    publication.isSending = true
    publication.mustAsk = false
    try {
      const { status, last } = await this.#backplane.append({ id, after, pieces, ends }, renew)
      switch (status) {
        case 'stored':
          publication.stored = last
          if (pieces.length > 0)
            this.#events.stored(
              id,
              pieces.map(({ json }) => json),
            )
          if (renew && !ends) {
            await this.#registrations.renew(id)
            publication.renewedAt = now
          }
          break
        case 'misplaced':
          // An answer was lost, or the last writes were. A longer log there is not from here.
          if (last > log.last) return this.#overtaken(publication)
          publication.stored = last
          break
        case 'missing':
          // A stream without a registration cannot be stored again.
          if (!(await this.#registrations.restore(id, lease))) return this.#remove(publication)
          publication.stored = 0
          publication.mustAsk = true
          break
        case 'ended':
          if (!log.done || last !== log.last) return this.#overtaken(publication)
          publication.stored = last
          break
      }
      if (log.done && publication.stored === log.last) await this.#finish(publication)
    } catch {
      // Not reached, or refused: what was to be stored is still in the log.
      publication.mustAsk = true
      publication.retryAt = performance.now() + RETRY_MS
    } finally {
      publication.isSending = false
    }
    if (publication.stored < log.last || publication.mustAsk) this.#changed(publication)
  }

  #giveUpDropped(): void {
    for (const publication of this.#running.values()) if (publication.isDropped) this.#giveUp(publication)
  }

  #giveUp(publication: Publication): void {
    const { id } = publication.log.info
    this.#remove(publication)
    this.#registrations.remove(id)
    if (this.#givenUp.size < MOST_GIVEN_UP) this.#givenUp.add(id)
  }

  async #finish(publication: Publication): Promise<void> {
    const { log } = publication
    await this.#registrations.settle(log.info.id)
    log.isOurs = undefined
    this.#remove(publication)
    if (publication.isDropped) this.#registrations.remove(log.info.id)
    else this.#finished.set(log.info.id, { log: new WeakRef(log), at: performance.now() })
  }

  #overtaken(publication: Publication): void {
    this.#remove(publication)
    this.#forget(publication.log.info.id)
    this.#events.overtaken(publication.log)
  }

  #forget(id: string): void {
    this.#finished.delete(id)
    this.#registrations.remove(id)
  }

  #remove(publication: Publication): void {
    const { log, unwatch, onStored } = publication
    unwatch()
    for (const resolve of onStored.splice(0)) resolve()
    this.#soon.delete(publication)
    this.#later.delete(publication)
    if (this.#running.get(log.info.id) === publication) this.#running.delete(log.info.id)
    if (this.#running.size > 0) return
    for (const resolve of this.#onIdle) resolve()
    this.#onIdle = []
  }
}

/** The pieces after a seq, as many as fit into one call. */
function takePieces(log: StreamLog, after: number): { pieces: StoredPiece[]; ends: boolean } {
  const pieces: StoredPiece[] = []
  let characters = 0
  let ends = false
  for (const piece of log.pieces(after)) {
    const json = JSON.stringify(piece)
    pieces.push({ last: lastOf(piece), json })
    ends = 'event' in piece && piece.event.type === 'done'
    characters += json.length
    if (characters > MOST_CHARACTERS) break
  }
  return { pieces, ends }
}
