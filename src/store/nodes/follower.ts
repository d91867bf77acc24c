import { producerLost, SluiceError } from '../../errors.ts'
import { parsePiece, pieceAfter, SKIPPED_SEQS, type Piece } from '../../stream/piece.ts'
import type { StreamLog } from '../../stream/stream-log.ts'
import type { Backplane } from '../backplane/backplane.ts'
import { Lease } from './lease.ts'

export interface FollowerEvents {
  /** Tells the node of the stream that it is followed here, and by how many readers. */
  announce(id: string, inbox: string, readers: number): void
  /** The stream of a lost node was ended. */
  endedLost(id: string): void
}

/** Fetched by one read. */
const MOST_PIECES = 200

interface Copy {
  readonly log: StreamLog
  /** The copy cannot be continued. */
  readonly fail: (error: unknown) => void
  /** Under which the stream runs; undefined until it is known. */
  lease: string | undefined
  isReading: boolean
  readAgain: boolean
  /** When something was last heard of it, and since when it is missing, by `performance.now()`. */
  heardAt: number
  missingSince: number | undefined
}

/** Keeps the copies of streams that run on other nodes up to date. */
export class Follower {
  readonly #backplane: Backplane
  readonly #lease: Lease
  readonly #leaseMs: number
  readonly #events: FollowerEvents
  readonly #copies = new Map<string, Copy>()
  readonly #onIdle: (() => void)[] = []

  constructor(backplane: Backplane, lease: Lease, { leaseMs }: { leaseMs: number }, events: FollowerEvents) {
    this.#backplane = backplane
    this.#lease = lease
    this.#leaseMs = leaseMs
    this.#events = events
  }

  get size(): number {
    return this.#copies.size
  }

  /** Feeds a copy until its `done`. Resolves after the first attempt to read what there is. */
  follow(log: StreamLog, fail: (error: unknown) => void): Promise<void> {
    const copy: Copy = {
      log,
      fail,
      lease: undefined,
      isReading: false,
      readAgain: false,
      heardAt: performance.now(),
      missingSince: undefined,
    }
    this.#copies.set(log.info.id, copy)
    return this.#look(copy)
  }

  /** The number of readers of a copy has changed. */
  readersChanged(id: string): void {
    const copy = this.#copies.get(id)
    if (copy) this.#announce(copy)
    this.#checkIdle()
  }

  /** Resolves when no copy that is still fed has a reader. */
  async idle(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#onIdle.push(resolve)
      this.#checkIdle()
    })
  }

  /** The node of the stream says what comes next. */
  receive(id: string, pieces: readonly Piece[]): void {
    const copy = this.#copies.get(id)
    if (!copy) return
    copy.heardAt = performance.now()
    if (copy.isReading) copy.readAgain = true
    else if (pieces.length === 0 || !this.#apply(copy, pieces, false)) void this.#read(copy)
  }

  /** Something may have been missed. */
  readAll(): void {
    for (const copy of this.#copies.values()) void this.#look(copy)
  }

  /** The leases under which the followed streams run. */
  leases(): Set<string> {
    const leases = new Set<string>()
    for (const { lease } of this.#copies.values()) if (lease !== undefined) leases.add(lease)
    return leases
  }

  /** Ends the streams of lost nodes, and asks about silent ones. */
  tick(now: number, lost: ReadonlySet<string>): void {
    for (const copy of this.#copies.values()) {
      if (this.#isOver(copy)) continue
      const isLost = copy.lease !== undefined && lost.has(copy.lease) && this.#lease.isSteady
      if (isLost || now - copy.heardAt > this.#leaseMs) void this.#look(copy, isLost)
    }
  }

  stop(): void {
    this.#copies.clear()
    this.#checkIdle()
  }

  /** Looks where the stream is, and reads what is new. */
  async #look(copy: Copy, isLost = false): Promise<void> {
    const { log } = copy
    const { id } = log.info
    copy.heardAt = performance.now()
    try {
      const record = await this.#backplane.findStream(id)
      if (this.#isOver(copy)) return
      if (!record) return this.#missing(copy)
      copy.missingSince = undefined
      if (copy.lease === undefined) {
        copy.lease = record.lease
        if (!record.ended) this.#announce(copy)
      } else if (!record.ended && !isLost) this.#announce(copy)
      if (isLost && !record.ended) await this.#endLost(copy, record.last)
      await this.#read(copy)
      // A log that was dropped in the meantime has no end to read.
      if (record.expired && !log.done)
        this.#fail(copy, new SluiceError('stream_expired', 'The stream is no longer kept.'))
    } catch {
      // The next tick looks again.
    }
  }

  async #endLost({ log }: Copy, last: number): Promise<void> {
    const { id, model, provider } = log.info
    const { code, message, retryable } = producerLost()
    const event = {
      type: 'done',
      finish_reason: 'error',
      error: { code, message, retryable },
      model,
      provider,
    } as const
    const first = last + SKIPPED_SEQS
    const json = JSON.stringify({ first, event, skips: true })
    const { status } = await this.#backplane.append(
      { id, after: last, pieces: [{ last: first, json }], ends: true },
      false,
    )
    if (status === 'stored') this.#events.endedLost(id)
  }

  /** The backplane has lost the stream. Its node will store it again, if it lives. */
  #missing(copy: Copy): void {
    const now = performance.now()
    copy.missingSince ??= now
    copy.heardAt = now - this.#leaseMs
    this.#announce(copy)
    if (now - copy.missingSince > 2 * this.#leaseMs)
      this.#fail(copy, new SluiceError('store_unavailable', 'The gateway has lost this stream.'))
  }

  async #read(copy: Copy): Promise<void> {
    if (copy.isReading) {
      copy.readAgain = true
      return
    }
    copy.isReading = true
    try {
      do {
        copy.readAgain = false
        for (let full = true; full && !this.#isOver(copy);) {
          const pieces = await this.#backplane.readPieces(copy.log.info.id, copy.log.last, MOST_PIECES)
          this.#applyStored(copy, pieces)
          full = pieces.length === MOST_PIECES
        }
      } while (copy.readAgain && !this.#isOver(copy))
    } catch {
      // The next tick reads again.
      copy.heardAt = -Infinity
    } finally {
      copy.isReading = false
    }
  }

  #applyStored(copy: Copy, pieces: readonly string[]): void {
    try {
      this.#apply(copy, pieces.map(parsePiece), true)
    } catch (error) {
      this.#fail(copy, error)
    }
  }

  /** @param inOrder they follow the last event that is here; otherwise some may be missing before them: then false */
  #apply(copy: Copy, pieces: readonly Piece[], inOrder: boolean): boolean {
    const { log } = copy
    try {
      for (const given of pieces) {
        if (this.#isOver(copy)) return true
        const piece = pieceAfter(given, log.last)
        if (!piece) continue
        const skips = 'event' in piece && piece.skips === true
        if (!inOrder && (skips || piece.first !== log.last + 1)) return false
        log.appendPiece(piece)
      }
    } catch (error) {
      this.#fail(copy, error)
    }
    this.#isOver(copy)
    return true
  }

  #announce({ log, lease }: Copy): void {
    if (lease !== undefined) this.#events.announce(log.info.id, Lease.inboxOf(lease), log.readers)
  }

  /** Forgets a copy that has ended, or that nobody may read any longer. */
  #isOver(copy: Copy): boolean {
    const { log } = copy
    if (this.#copies.get(log.info.id) !== copy) return true
    const isOver = log.done !== undefined || log.withdrawn
    if (isOver) this.#remove(copy)
    return isOver
  }

  #remove({ log }: Copy): void {
    this.#copies.delete(log.info.id)
    this.#checkIdle()
  }

  #checkIdle(): void {
    if (this.#onIdle.length === 0) return
    for (const { log } of this.#copies.values()) if (log.readers > 0 && !log.done) return
    for (const resolve of this.#onIdle.splice(0)) resolve()
  }

  #fail(copy: Copy, error: unknown): void {
    if (this.#isOver(copy)) return
    this.#remove(copy)
    copy.fail(error)
  }
}
