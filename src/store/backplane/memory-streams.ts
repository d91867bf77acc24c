import { NOBODY, storeFull, type Budget, type MemoryKind } from '../budget.ts'
import {
  FOLLOWING_MS,
  type Append,
  type Appended,
  type NewStream,
  type RecordLifetimes,
  type StoredPiece,
  type StreamRecord,
} from './backplane.ts'
import { ExpiringMap } from './expiring-map.ts'

/** Memory of a record, apart from its texts. */
const RECORD_BYTES = 1024
/** Memory of a piece, apart from its text. */
const PIECE_BYTES = 100
/** Beyond it, the oldest tombstone is forgotten. */
const MAX_TOMBSTONES = 100_000

interface Kept {
  readonly info: string
  kept: string | undefined
  readonly lease: string
  pieces: StoredPiece[]
  last: number
  ended: boolean
  /** Its log is dropped. */
  dropped: boolean
  /** When its retention is over. */
  expiresAt: number
  bytes: number
}

/** Registered streams and their logs. */
export class MemoryStreams {
  readonly #budget: Budget
  readonly #lifetimes: RecordLifetimes
  readonly #now: () => number
  readonly #streams: ExpiringMap<Kept>
  /** Ids of finished streams and of tombstones, the oldest first. */
  readonly #finished = new Set<string>()
  readonly #tombstones = new Set<string>()

  constructor(budget: Budget, lifetimes: RecordLifetimes, now: () => number) {
    this.#budget = budget
    this.#lifetimes = lifetimes
    this.#now = now
    this.#streams = new ExpiringMap(now, (id, stream) => this.#expired(id, stream))
  }

  /** @throws SluiceError `store_full` */
  create({ id, info, kept, lease }: NewStream): void {
    if (this.#streams.get(id)) return
    const bytes = RECORD_BYTES + 2 * (id.length + info.length + (kept?.length ?? 0))
    if (!this.#budget.admits(NOBODY, bytes)) throw storeFull()
    const rest = { pieces: [], last: 0, ended: false, dropped: false, expiresAt: Infinity, bytes }
    this.#put(id, { info, kept, lease, ...rest }, this.#now() + this.#lifetimes.runningMs)
  }

  find(id: string): StreamRecord | undefined {
    const stream = this.#streams.get(id)
    if (!stream) return undefined
    const { info, kept, lease, last, ended, dropped, expiresAt } = stream
    return { info, kept, lease, last, ended, expired: dropped || expiresAt <= this.#now() }
  }

  /**
   * The end of a stream is stored even when there is no room: its memory can be reclaimed then.
   *
   * @throws SluiceError `store_full`
   */
  append({ id, after, pieces, ends }: Append, renew: boolean): Appended {
    const stream = this.#streams.get(id)
    if (!stream) return { status: 'missing', last: 0 }
    const { last } = stream
    if (stream.ended || stream.dropped) return { status: 'ended', last }
    if (after !== last) return { status: 'misplaced', last }
    const added = pieces.reduce((sum, { json }) => sum + PIECE_BYTES + 2 * json.length, 0)
    const ended = ends && pieces.length > 0
    if (added > 0 && !ended && !this.#budget.admits(NOBODY, added)) throw storeFull()
    const now = this.#now()
    const { retentionMs, runningMs } = this.#lifetimes
    const running = renew || last === 0 ? now + runningMs : (this.#streams.expiryOf(id) ?? now)
    this.#remove(id)
    stream.pieces.push(...pieces)
    stream.last = pieces.at(-1)?.last ?? last
    stream.ended = ended
    stream.bytes += added
    if (ended) stream.expiresAt = now + retentionMs
    this.#put(id, stream, ended ? stream.expiresAt + this.#followingMs : running)
    if (ended) this.#budget.makeRoom(NOBODY, 0)
    return { status: 'stored', last: stream.last }
  }

  read(id: string, after: number, most: number): string[] {
    const { pieces = [] } = this.#streams.get(id) ?? {}
    const first = firstAfter(pieces, after)
    return pieces.slice(first, first + most).map(({ json }) => json)
  }

  drop(id: string, tombstone: boolean): void {
    const stream = this.#streams.get(id)
    if (!stream) return
    if (!tombstone) this.#remove(id)
    else if (!stream.dropped) this.#bury(id, stream, this.#now() + this.#lifetimes.tombstoneMs)
  }

  /** Drops the oldest finished stream, or else the oldest tombstone; false when there is none. */
  reclaim(): boolean {
    const [finished] = this.#finished
    const [id = finished] = finished === undefined ? this.#tombstones : []
    if (id === undefined) return false
    if (id === finished) this.drop(id, true)
    else this.#remove(id)
    return true
  }

  /** Nothing is kept longer than the record of its stream. */
  get #followingMs(): number {
    return Math.min(FOLLOWING_MS, this.#lifetimes.tombstoneMs)
  }

  #expired(id: string, stream: Kept): void {
    this.#forget(id, stream)
    const forgetAt = stream.expiresAt + this.#lifetimes.tombstoneMs
    if (stream.ended && !stream.dropped && forgetAt > this.#now()) this.#bury(id, stream, forgetAt)
  }

  #bury(id: string, stream: Kept, forgetAt: number): void {
    const bytes = RECORD_BYTES + 2 * (id.length + stream.info.length)
    this.#remove(id)
    Object.assign(stream, { kept: undefined, pieces: [], dropped: true, bytes })
    this.#put(id, stream, forgetAt)
    const [oldest] = this.#tombstones
    if (oldest !== undefined && this.#tombstones.size > MAX_TOMBSTONES) this.#remove(oldest)
  }

  #put(id: string, stream: Kept, at: number): void {
    this.#streams.set(id, stream, at)
    this.#budget.add(kindOf(stream), NOBODY, stream.bytes)
    if (stream.dropped) this.#tombstones.add(id)
    else if (stream.ended) this.#finished.add(id)
  }

  #remove(id: string): void {
    const stream = this.#streams.delete(id)
    if (stream) this.#forget(id, stream)
  }

  #forget(id: string, stream: Kept): void {
    this.#budget.add(kindOf(stream), NOBODY, -stream.bytes)
    this.#finished.delete(id)
    this.#tombstones.delete(id)
  }
}

function kindOf({ ended, dropped }: Kept): MemoryKind {
  if (dropped) return 'remembered'
  return ended ? 'finished' : 'running'
}

/** Where the first piece with an event after this one is. */
function firstAfter(pieces: readonly StoredPiece[], after: number): number {
  let low = 0
  let high = pieces.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((pieces[middle]?.last ?? Infinity) <= after) low = middle + 1
    else high = middle
  }
  return low
}
