import { SluiceError } from '../errors.ts'
import { EMPTY_LOG_BYTES, emptyLogBytes, StreamLog, type LogKeeper, type StreamInfo } from '../stream/stream-log.ts'
import { NOBODY, storeFull, type Budget } from './budget.ts'
import { ExpiryTimer } from './expiry-timer.ts'

export interface LogLimits {
  /** How long a finished stream can still be read, in milliseconds. */
  retentionMs: number
  /** Bytes of one log, beyond which it ends with `stream_too_large`. */
  streamMaxBytes: number
}

/** The client to which a log's memory is charged, and memory to charge beside the log. */
export interface LogCharge {
  /** The address of the client. */
  client?: string | undefined
  /** Memory of the running stream, apart from its log. */
  runningBytes?: number | undefined
  /** What is kept of the request, as long as the log. */
  kept?: string | undefined
}

export interface LocalLogsObserver {
  ended(log: StreamLog): void
  /** The log was dropped to make room, or because its retention is over. */
  dropped(log: StreamLog, client: string): void
}

/** Displaced streams may exceed the limit by this share until their readers have fetched `done`. */
const LEAVING_SHARE = 1 / 8

/** The logs in the memory of this process: counts their bytes, drops them after retention or to make room. */
export class LocalLogs {
  readonly #limits: LogLimits
  readonly #budget: Budget
  readonly #observer: LocalLogsObserver
  readonly #logs = new Map<string, KeptLog>()
  /** In order of finishing, which is also the order of expiry and of reclaiming. */
  readonly #finished = new Set<KeptLog>()
  /** Finished logs per client, in the same order. */
  readonly #finishedOf = new Map<string, Set<KeptLog>>()
  /** Displaced streams that are not dropped yet. */
  readonly #leaving = new Set<KeptLog>()
  readonly #expiry = new ExpiryTimer(
    () => this.#nextExpiry(),
    (now) => this.#expire(now),
  )
  #closed = false

  constructor(limits: LogLimits, budget: Budget, observer: LocalLogsObserver) {
    this.#limits = limits
    this.#budget = budget
    this.#observer = observer
  }

  get bytes(): number {
    return this.#budget.held('running') + this.#budget.held('finished')
  }

  get(id: string): StreamLog | undefined {
    return this.#logs.get(id)?.log
  }

  /** Whether `open` would succeed without dropping anything. */
  hasRoom({ client = NOBODY, runningBytes = 0 }: LogCharge): boolean {
    return this.#budget.hasRoom(client, EMPTY_LOG_BYTES + runningBytes)
  }

  /** @throws SluiceError `store_full` when there is no room and no finished stream to drop */
  open(info: StreamInfo, { client = NOBODY, runningBytes = 0, kept: request }: LogCharge = {}): StreamLog {
    if (!this.#budget.admits(client, emptyLogBytes(info, request) + runningBytes)) throw storeFull()
    const kept = new KeptLog(info, { client, runningBytes, kept: request }, this)
    if (this.#closed) return kept.log
    this.#logs.set(info.id, kept)
    this.#budget.add('running', client, kept.log.bytes)
    if (runningBytes > 0) this.#budget.add('streams', client, runningBytes)
    return kept.log
  }

  /** Drops a log that is not wanted after all; the observer does not hear of it. */
  discard({ info }: StreamLog): void {
    const kept = this.#logs.get(info.id)
    if (kept) this.#drop(kept)
  }

  /** Drops a log before its time. */
  drop({ info }: StreamLog): void {
    const kept = this.#logs.get(info.id)
    if (kept) this.#bury(kept)
  }

  /** Drops the oldest finished stream, of one client or of all; false when there is none to drop. */
  reclaim(client?: string): boolean {
    const finished = client === undefined ? this.#finished : (this.#finishedOf.get(client) ?? [])
    for (const kept of finished) {
      // Reclaiming it would free nothing: its readers keep it.
      if (kept.log.readers > 0) continue
      this.#bury(kept)
      return true
    }
    return false
  }

  /** Forgets everything. A stream that still runs may come to its end. */
  close(): void {
    this.#closed = true
    this.#expiry.stop()
    for (const kept of this.#logs.values()) this.#drop(kept)
  }

  /** Runs for every token. @throws SluiceError `stream_too_large` or `store_full` */
  admit(kept: KeptLog, bytes: number, final: boolean): void {
    // The request has a limit of its own.
    const size = kept.log.bytes - kept.emptyBytes + EMPTY_LOG_BYTES + bytes
    if (!final && size > this.#limits.streamMaxBytes)
      throw new SluiceError('stream_too_large', `The stream is larger than ${this.#limits.streamMaxBytes} bytes.`)
    if (this.#closed) return
    if (!this.#makeRoom(kept, bytes) && !final && !this.#displace(kept, bytes)) throw storeFull()
    this.#budget.add('running', kept.client, bytes)
  }

  /** @throws SluiceError `store_full` */
  held(kept: KeptLog, change: number): void {
    if (this.#closed) return
    if (change > 0 && !this.#makeRoom(kept, change) && !this.#displace(kept, change)) throw storeFull()
    this.#budget.add('streams', kept.client, change)
  }

  ended(kept: KeptLog): void {
    if (this.#closed) return
    const { log, client, runningBytes } = kept
    this.#budget.add('running', client, -log.bytes)
    this.#budget.add('finished', client, log.bytes)
    if (runningBytes > 0) this.#budget.add('streams', client, -runningBytes)
    kept.expiresAt = performance.now() + this.#limits.retentionMs
    this.#finished.add(kept)
    let own = this.#finishedOf.get(client)
    if (!own) this.#finishedOf.set(client, (own = new Set()))
    own.add(kept)
    this.#observer.ended(log)
    this.#expiry.schedule()
  }

  #makeRoom({ client }: KeptLog, bytes: number): boolean {
    return this.#budget.bytes + bytes <= this.#budget.limit || this.#budget.makeRoom(client, bytes)
  }

  /**
   * Ends the largest running stream of the client that holds most, so that small streams survive when a large one has
   * filled the memory. False when `kept` is that stream, or when too many displaced streams are still being read.
   */
  #displace(kept: KeptLog, bytes: number): boolean {
    let leaving = bytes
    for (const each of this.#leaving) leaving += each.log.bytes
    if (leaving > this.#budget.limit * LEAVING_SHARE) return false
    const largest = this.#largestRunning(kept, bytes)
    if (largest === kept) return false
    this.#leaving.add(largest)
    largest.log.displaced = true
    largest.log.onDisplaced?.(storeFull())
    this.#budget.makeRoom(kept.client, bytes)
    return true
  }

  /** O(streams), but runs only when the store is full, and then ends a large stream. */
  #largestRunning(grown: KeptLog, by: number): KeptLog {
    const held = (of: string) => this.#budget.bytesOf(of) + (of === grown.client ? by : 0)
    let largest = grown
    let [mostHeld, mostBytes] = [held(grown.client), sizeOf(grown) + by]
    for (const kept of this.#logs.values()) {
      if (kept.log.done || kept === grown) continue
      const all = held(kept.client)
      if (all < mostHeld || (all === mostHeld && sizeOf(kept) <= mostBytes)) continue
      largest = kept
      mostHeld = all
      mostBytes = sizeOf(kept)
    }
    return largest
  }

  #bury(kept: KeptLog): void {
    this.#drop(kept)
    this.#observer.dropped(kept.log, kept.client)
  }

  #drop(kept: KeptLog): void {
    const { log, client, runningBytes } = kept
    const { bytes } = log
    const kind = this.#finished.has(kept) ? 'finished' : 'running'
    if (kind === 'running' && runningBytes > 0) this.#budget.add('streams', client, -runningBytes)
    this.#logs.delete(log.info.id)
    this.#finished.delete(kept)
    const own = this.#finishedOf.get(client)
    own?.delete(kept)
    if (own?.size === 0) this.#finishedOf.delete(client)
    const free = () => {
      this.#leaving.delete(kept)
      this.#budget.add(kind, client, -bytes)
    }
    // Its readers keep it in memory.
    if (log.readers === 0 || this.#closed) free()
    else whenLeft(log, free)
  }

  #nextExpiry(): number {
    const [oldest] = this.#finished
    return oldest?.expiresAt ?? Infinity
  }

  #expire(now: number): void {
    for (const kept of this.#finished) {
      if (kept.expiresAt > now) break
      this.#bury(kept)
    }
  }
}

interface Charged {
  client: string
  runningBytes: number
  kept: string | undefined
}

/** One log, and what its memory is charged to. */
class KeptLog implements LogKeeper {
  readonly log: StreamLog
  readonly client: string
  readonly runningBytes: number
  /** Once it has finished. By `performance.now()`: the wall clock may be set back. */
  expiresAt = 0
  readonly #logs: LocalLogs

  /** Bytes of the log before its first event. */
  readonly emptyBytes: number

  constructor(info: StreamInfo, { client, runningBytes, kept }: Charged, logs: LocalLogs) {
    this.log = new StreamLog(info, this, kept)
    this.emptyBytes = this.log.bytes
    this.client = client
    this.runningBytes = runningBytes
    this.#logs = logs
  }

  admit(_: StreamLog, bytes: number, final: boolean): void {
    this.#logs.admit(this, bytes, final)
  }

  held(_: StreamLog, change: number): void {
    this.#logs.held(this, change)
  }

  ended(): void {
    this.#logs.ended(this)
  }
}

function sizeOf({ log }: KeptLog): number {
  return log.bytes + log.held
}

/** Calls `free` once, when the last reader of this process has left. */
function whenLeft(log: StreamLog, free: () => void): void {
  const listener = {
    readersChanged() {
      if (log.readers > 0) return
      // A reader that reads after waiting leaves twice.
      log.readerCount.unlisten(listener)
      free()
    },
  }
  log.readerCount.listen(listener)
}
