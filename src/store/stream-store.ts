import { randomUUID } from 'node:crypto'
import { producerLost, SluiceError } from '../errors.ts'
import { within } from '../within.ts'
import { SKIPPED_SEQS } from '../stream/piece.ts'
import type { StreamInfo, StreamLog } from '../stream/stream-log.ts'
import type { Budget, Reclaimer } from './budget.ts'
import type { Bus } from './bus.ts'
import type { Directory, Idempotency, Located, Names } from './directory.ts'
import { LocalLogs, type LogCharge, type LogLimits } from './local-logs.ts'

export interface StreamInit extends Omit<StreamInfo, 'id' | 'created'>, LogCharge, Names {}

export interface Created {
  log: StreamLog
  /** The log was there already, by its idempotency key: it has a writer, and needs no second one. */
  joined: boolean
}

export type Found = { status: 'found'; log: StreamLog } | Exclude<Located, { status: 'found' }>

/** A node that is asked to cancel a stream also counts its tokens before it ends, in milliseconds. */
const CANCEL_MS = 3000

export interface StoreParts {
  limits: LogLimits
  budget: Budget
  directory: Directory
  bus: Bus
}

/**
 * Streams by their names, each as a log in the memory of this process: that of its generation, or a copy that follows
 * it over the bus. Readers never see the difference.
 */
export class StreamStore implements Reclaimer {
  readonly #directory: Directory
  readonly #bus: Bus
  readonly #logs: LocalLogs
  /** Copies of streams that run elsewhere. */
  readonly #copies = new WeakSet<StreamLog>()
  readonly #catchingUp = new Map<StreamLog, Promise<void>>()
  /** Set the readers that other nodes have of a stream that runs here. */
  readonly #readersElsewhere = new WeakMap<StreamLog, (count: number) => void>()

  constructor({ limits, budget, directory, bus }: StoreParts) {
    this.#directory = directory
    this.#bus = bus
    this.#logs = new LocalLogs(limits, budget, {
      ended: (log) => this.#isOwn(log) && log.done && directory.ended(log.info.id, log.done),
      dropped: (log, client) => {
        if (!this.#isOwn(log)) return
        bus.unpublish(log.info.id)
        directory.dropped?.(log.info.id, client)
      },
    })
    budget.reclaimer = this
  }

  /** Bytes of all logs that are kept. */
  get bytes(): number {
    return this.#logs.bytes
  }

  /**
   * @throws SluiceError `store_full` when there is no room and no finished stream to drop; `idempotency_conflict`
   * when the key was used for another request; `stream_not_found` when there is nothing to resume; `store_unavailable`
   */
  async create(init: StreamInit): Promise<Created> {
    const { owner, model, provider, protocol, labels, idempotency, alias, client, runningBytes, kept } = init
    const charge = { client, runningBytes, kept }
    // Making room may drop the very stream that is to be joined.
    if (idempotency && !this.#logs.hasRoom(charge)) {
      const known = await this.#directory.join(owner, idempotency).catch(unreached)
      if (known) return { log: await this.#logOf({ info: known }), joined: true }
    }
    // 122 random bits, so ids cannot be guessed. Node generates the bits of many ids at a time.
    const id = `str_${randomUUID().replaceAll('-', '')}`
    const info: StreamInfo = { id, owner, model, provider, protocol, labels, created: Date.now() }
    // Open the log before registering the stream: a stream that can be found must have a log.
    const log = this.#logs.open(info, charge)
    try {
      const registered = await this.#directory.create(info, { idempotency, alias, client, kept })
      if (registered.joined) {
        this.#logs.discard(log)
        return { log: await this.#logOf(registered), joined: true }
      }
    } catch (error) {
      this.#logs.discard(log)
      unreached(error)
    }
    this.#bus.publish(log)
    return { log, joined: false }
  }

  /**
   * Whether a request with this key would join a stream. Concurrent requests may still both find none.
   *
   * @throws SluiceError like `create`
   */
  async joins(owner: string, idempotency: Idempotency): Promise<boolean> {
    return (await this.#directory.join(owner, idempotency).catch(unreached)) !== undefined
  }

  /**
   * Someone else's stream is `unknown`.
   *
   * @param owner undefined for any owner: for readers with a ticket
   * @throws SluiceError `store_full` or `store_unavailable`
   */
  async find(id: string, owner: string | undefined): Promise<Found> {
    const log = this.#logs.get(id)
    // A stream of this node needs no directory, so its readers do not notice when that is away.
    if (log && this.#isOwn(log) && !log.withdrawn && isOwnedBy(log, owner)) return { status: 'found', log }
    try {
      return await this.#toFound(await this.#directory.find(id, owner))
    } catch (error) {
      if (log && isOwnedBy(log, owner)) return { status: 'found', log }
      unreached(error)
    }
  }

  /** The newest stream of this alias. @throws SluiceError `store_full` or `store_unavailable` */
  async findByAlias(alias: string, owner: string): Promise<Found> {
    return this.#toFound(await this.#directory.findByAlias(alias, owner).catch(unreached))
  }

  /**
   * Cancels a stream that runs on another node, and waits a moment for its end.
   *
   * @throws SluiceError `store_unavailable`
   */
  async cancelElsewhere(log: StreamLog): Promise<void> {
    await this.#bus.cancel(log.info.id).catch(unreached)
    await endOf(log, CANCEL_MS)
  }

  /** Drops a stream before its time: from now on it is expired. The readers that it has may read on. */
  async forget(log: StreamLog): Promise<void> {
    const { id } = log.info
    this.#logs.drop(log)
    await this.#directory.forget?.(id).catch(unreached)
    if (!this.#isOwn(log)) await this.#bus.forget(id).catch(unreached)
  }

  /** The client of another node has dropped a stream that was created here. */
  forgetHere(id: string): void {
    const log = this.#logs.get(id)
    if (log) this.#logs.drop(log)
  }

  /** Shows nothing more of a stream to readers, and ends it: other nodes have declared this one lost. */
  withdraw(id: string): void {
    const log = this.#logs.get(id)
    if (!log) return
    log.withdraw()
    log.onDisplaced?.(producerLost())
    // From now on it is found as a copy, with the end that the others know.
    this.#cutOff(log)
  }

  /** Other nodes together have `count` readers of a stream that runs here. */
  setReadersElsewhere(id: string, count: number): void {
    const log = this.#logs.get(id)
    if (!log || log.done) return
    let set = this.#readersElsewhere.get(log)
    if (!set) this.#readersElsewhere.set(log, (set = log.readerCount.addSource()))
    set(count)
  }

  reclaim(client?: string): boolean {
    return this.#logs.reclaim(client) || (client === undefined && (this.#directory.reclaim?.() ?? false))
  }

  /** Forgets everything and stops every timer. */
  async close(): Promise<void> {
    this.#logs.close()
    await this.#bus.close()
    await this.#directory.close()
  }

  #isOwn(log: StreamLog): boolean {
    return !this.#copies.has(log)
  }

  async #toFound(located: Located): Promise<Found> {
    return located.status === 'found' ? { status: 'found', log: await this.#logOf(located) } : located
  }

  /** A copy that has just been made is awaited: its reader may want to know what there is, and whether it has ended. */
  async #logOf({ info, kept }: { info: StreamInfo; kept?: string | undefined }): Promise<StreamLog> {
    const log = this.#logs.get(info.id) ?? this.#copy(info, kept)
    await this.#catchingUp.get(log)
    return log
  }

  /** A copy follows its stream to the end, whether or not it is being read. */
  #copy(info: StreamInfo, kept: string | undefined): StreamLog {
    const log = this.#logs.open(info, { kept })
    this.#copies.add(log)
    log.onDisplaced = () => this.#cutOff(log)
    log.readerCount.listen({ readersChanged: () => this.#bus.readers(info.id, log.readers) })
    const fail = (error: unknown) => this.#abandon(log, error instanceof SluiceError ? error : unavailable(error))
    const caughtUp = this.#bus.follow(log, fail).finally(() => this.#catchingUp.delete(log))
    this.#catchingUp.set(log, caughtUp)
    return log
  }

  /** Its readers have to find the stream anew. */
  #cutOff(log: StreamLog): void {
    log.withdraw()
    this.#logs.discard(log)
  }

  /**
   * Gives up a copy, so that no reader waits forever; the next lookup makes a new one. Where only this node has no room,
   * the stream goes on elsewhere: its readers are cut off, to come back. Otherwise it has an end, beyond all its events.
   */
  #abandon(log: StreamLog, { code, message, retryable }: SluiceError): void {
    if (log.done) return
    if (code === 'store_full') return this.#cutOff(log)
    const event = { type: 'done', finish_reason: 'error', error: { code, message, retryable } } as const
    log.appendPiece({ first: log.last + SKIPPED_SEQS, event, skips: true })
    this.#logs.discard(log)
  }
}

/** Waits for the end of a log, at most this long. It does not count as a reader. */
async function endOf(log: StreamLog, milliseconds: number): Promise<void> {
  if (log.done) return
  let unwatch = () => {}
  const ended = new Promise<void>((resolve) => (unwatch = log.watch(() => log.done && resolve())))
  await within(milliseconds, ended)
  unwatch()
}

function isOwnedBy({ info }: StreamLog, owner: string | undefined): boolean {
  return owner === undefined || info.owner === owner
}

/** Turns any other error than a `SluiceError` into `store_unavailable`. */
function unreached(error: unknown): never {
  throw error instanceof SluiceError ? error : unavailable(error)
}

function unavailable(cause?: unknown): SluiceError {
  return new SluiceError('store_unavailable', 'The gateway cannot reach its streams; try again later.', {
    cause,
    retryAfter: 5,
  })
}
