import { z } from 'zod'
import { SluiceError } from '../../errors.ts'
import { parsePiece } from '../../stream/piece.ts'
import type { StreamInfo } from '../../stream/stream-log.ts'
import { within } from '../../within.ts'
import type { Backplane, StreamRecord } from '../backplane/backplane.ts'
import type { Directory, Idempotency, Located, Names, Registered } from '../directory.ts'
import { freesKey, idempotencyConflict, nothingToResume } from '../directory.ts'
import type { Lease } from './lease.ts'
import type { Registrations } from './registrations.ts'

export interface SharedDirectoryOptions {
  /** While the backplane cannot be reached, new streams are refused, or known to this node alone until it can be. */
  storeDown: 'refuse' | 'local'
  /** After an outage, an unknown stream may be one that its node has yet to register again. */
  leaseMs: number
  /** Resolves when the end of a stream of this node is stored, if it has ended. */
  whenStored?: (id: string) => Promise<void>
}

/** For the end of a stream of this node to be stored, in milliseconds. */
const STORED_MS = 3000

const streamInfo: z.ZodType<StreamInfo> = z.object({
  id: z.string(),
  owner: z.string(),
  model: z.string(),
  provider: z.string(),
  created: z.number(),
  protocol: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
})

/** The streams of all nodes, by a backplane. */
export class SharedDirectory implements Directory {
  readonly #backplane: Backplane
  readonly #lease: Lease
  readonly #registrations: Registrations
  readonly #options: SharedDirectoryOptions
  /** Registered streams that are not wanted, and could not be dropped yet: their names may be taken. */
  readonly #failed = new Set<string>()
  #recoveredAt = -Infinity

  constructor(backplane: Backplane, lease: Lease, registrations: Registrations, options: SharedDirectoryOptions) {
    this.#backplane = backplane
    this.#lease = lease
    this.#registrations = registrations
    this.#options = options
    backplane.onChange((isUp) => isUp && this.#recovered())
  }

  async create(info: StreamInfo, { idempotency, alias, kept }: Names): Promise<Registered> {
    const { id, owner } = info
    const key = idempotency && { name: keyName(owner, idempotency.key), fingerprint: idempotency.fingerprint }
    const { epoch, name: lease } = this.#lease
    const name = alias === undefined ? undefined : aliasName(owner, alias)
    let isRegistered = false
    this.#registrations.add({ info, kept, epoch, key, alias: name })
    try {
      await this.#backplane.createStream({ id, info: JSON.stringify(info), kept, lease })
      isRegistered = true
      const joined = idempotency && (await this.#claim(owner, idempotency, id))
      if (joined) {
        await this.#withdraw(id)
        return { info: joined, joined: true }
      }
      if (name !== undefined) await this.#backplane.setName(name, id)
      return { info, joined: false }
    } catch (error) {
      if (error instanceof SluiceError) {
        await this.#withdraw(id)
        throw error
      }
      if (this.#options.storeDown === 'local') return this.#createHere(info, idempotency)
      // A stream that was not registered has no name yet, so nobody can wait for it. An outage refuses thousands.
      if (isRegistered) void this.#withdraw(id)
      else this.#registrations.remove(id)
      throw error
    }
  }

  async join(owner: string, idempotency: Idempotency): Promise<StreamInfo | undefined> {
    try {
      return await this.#claim(owner, idempotency, undefined)
    } catch (error) {
      if (error instanceof SluiceError || this.#options.storeDown === 'refuse') throw error
      return this.#joinHere(owner, idempotency)
    }
  }

  async find(id: string, owner: string | undefined): Promise<Located> {
    return this.#locate(await this.#backplane.findStream(id), owner)
  }

  async findByAlias(alias: string, owner: string): Promise<Located> {
    const id = await this.#backplane.findName(aliasName(owner, alias))
    if (id === undefined) return this.#unknown()
    const located = await this.find(id, owner)
    return located.status === 'found' ? located : { status: 'unknown' }
  }

  /** The end is stored with the last piece of the log. */
  ended(): void {}

  async forget(id: string): Promise<void> {
    // Its end may be on its way, and readers at other nodes are to get it.
    await this.#whenStored(id)
    await this.#backplane.dropStream(id, true)
  }

  async close(): Promise<void> {}

  /** The stream that has the key; undefined when there is none, which `id` then has. */
  async #claim(
    owner: string,
    { key, fingerprint, resuming = false }: Idempotency,
    id: string | undefined,
  ): Promise<StreamInfo | undefined> {
    const name = keyName(owner, key)
    let stale: string | undefined
    for (;;) {
      const claimed = await this.#backplane.claimName(name, { id, fingerprint, resuming, stale })
      switch (claimed.status) {
        case 'claimed':
          return undefined
        case 'conflict':
          throw idempotencyConflict()
        case 'gone':
          throw nothingToResume()
        case 'joined': {
          await this.#whenStored(claimed.id)
          const record = await this.#backplane.findStream(claimed.id)
          if (record && !record.expired && (resuming || !(await this.#isLost(claimed.id, record))))
            return parseInfo(record)
          stale = claimed.id
        }
      }
    }
  }

  /** Whether a stream has ended so that another may replace it, or will, because its node is gone. */
  async #isLost(id: string, { ended, lease, last }: StreamRecord): Promise<boolean> {
    if (ended) {
      const [json] = await this.#backplane.readPieces(id, last - 1, 1)
      const piece = json === undefined ? undefined : parsePiece(json)
      return piece !== undefined && 'event' in piece && piece.event.type === 'done' && freesKey(piece.event)
    }
    const [isHeld] = this.#lease.isSteady ? await this.#backplane.areHeld([lease]) : []
    return isHeld === false
  }

  #locate(record: StreamRecord | undefined, owner: string | undefined): Located {
    if (!record) return this.#unknown()
    const info = parseInfo(record)
    if (owner !== undefined && info.owner !== owner) return { status: 'unknown' }
    return record.expired ? { status: 'expired' } : { status: 'found', info, kept: record.kept }
  }

  #unknown(): Located {
    const isRecovering = performance.now() - this.#recoveredAt < this.#options.leaseMs
    if (isRecovering) throw new Error('the streams of other nodes are not registered again yet')
    return { status: 'unknown' }
  }

  #createHere(info: StreamInfo, idempotency: Idempotency | undefined): Registered {
    const joined = idempotency && this.#joinHere(info.owner, idempotency, info.id)
    if (!joined) return { info, joined: false }
    this.#registrations.remove(info.id)
    return { info: joined, joined: true }
  }

  #joinHere(owner: string, { key, fingerprint, resuming }: Idempotency, id?: string): StreamInfo | undefined {
    const known = this.#registrations.findByKey(keyName(owner, key), id)
    if (known && known.key?.fingerprint !== fingerprint) throw idempotencyConflict()
    // The stream may be on another node.
    if (!known && resuming) throw new Error('the stream of this key cannot be looked for')
    return known?.info
  }

  async #whenStored(id: string): Promise<void> {
    await within(STORED_MS, this.#options.whenStored?.(id) ?? Promise.resolve())
  }

  /** Takes back a registration. */
  async #withdraw(id: string): Promise<void> {
    this.#registrations.remove(id)
    try {
      await this.#backplane.dropStream(id, false)
    } catch {
      this.#failed.add(id)
    }
  }

  #recovered(): void {
    this.#recoveredAt = performance.now()
    const failed = [...this.#failed]
    this.#failed.clear()
    for (const id of failed) void this.#withdraw(id)
  }
}

function parseInfo({ info }: StreamRecord): StreamInfo {
  return streamInfo.parse(JSON.parse(info))
}

function keyName(owner: string, key: string): string {
  return JSON.stringify(['key', owner, key])
}

function aliasName(owner: string, alias: string): string {
  return JSON.stringify(['alias', owner, alias])
}
