// The backplane of nodes on several machines: one Redis, a Cluster, or a master that Sentinels know.

import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Amount, Claim, CounterState, Increment, Taken } from '../../access/limit-store.ts'
import {
  FOLLOWING_MS,
  USAGE_MS,
  type Append,
  type Appended,
  type Backplane,
  type NameClaim,
  type NameClaimed,
  type NewStream,
  type RecordLifetimes,
  type StreamRecord,
} from './backplane.ts'
import { BLOCK_MS, createRedisClient, type RedisClient } from './redis-client.ts'
import * as scripts from './redis-scripts.ts'
import type { RedisAddress } from './redis-url.ts'

/** Of an inbox: it lasts a connection's outage, and is bounded when nobody reads it. */
const INBOX_MESSAGES = 1000
const INBOX_MS = 60_000
/** Messages in one entry: Lua has a limit of 8,000 arguments. */
const MOST_POSTED = 1000

export interface RedisBackplaneOptions extends RecordLifetimes {
  /** Before the names of all keys. */
  prefix: string
  /** Hears of faults of connections, which come again and again while Redis is away. */
  onFault: (error: Error) => void
}

type Argument = string | number

/** All operations take one round trip; nothing waits for the reply to another. */
export class RedisBackplane implements Backplane {
  readonly #address: RedisAddress
  readonly #options: RedisBackplaneOptions
  readonly #client: RedisClient
  #reader: RedisClient | undefined
  readonly #listeners: ((isUp: boolean) => void)[] = []
  #isUp = false
  #wasUp = false
  #closed = false

  constructor(address: RedisAddress, options: RedisBackplaneOptions) {
    this.#address = address
    this.#options = options
    this.#client = this.#create({})
    this.#client.on('ready', () => this.#set(true))
    this.#client.on('close', () => this.#set(false))
    // A Cluster reports lost nodes this way.
    this.#client.on('node error', (error: Error) => options.onFault(error))
  }

  /** Rejects when the first attempt fails. Later ones are made in the background all the same. */
  async connect(): Promise<void> {
    try {
      await this.#client.connect()
    } catch (error) {
      // The first connection then ends an outage.
      this.#wasUp = true
      throw error
    }
  }

  get isUp(): boolean {
    return this.#isUp
  }

  onChange(listener: (isUp: boolean) => void): void {
    this.#listeners.push(listener)
  }

  async createStream({ id, info, kept = '', lease }: NewStream): Promise<void> {
    const { head, kept: keptKey } = this.#keysOf(id)
    await this.#run(scripts.CREATE_STREAM, [head, keptKey], [info, lease, this.#options.runningMs, kept])
  }

  async findStream(id: string): Promise<StreamRecord | undefined> {
    const { head, kept } = this.#keysOf(id)
    const found = await this.#run(scripts.FIND_STREAM, [head, kept], [])
    if (!Array.isArray(found)) return undefined
    const [info, lease, last, ended, expired, keptText]: unknown[] = found
    return {
      info: String(info),
      lease: String(lease),
      last: Number(last),
      ended: ended === 1,
      expired: expired === 1,
      kept: typeof keptText === 'string' ? keptText : undefined,
    }
  }

  async append({ id, after, pieces, ends }: Append, renew: boolean): Promise<Appended> {
    const { head, log, kept } = this.#keysOf(id)
    const { runningMs, retentionMs, tombstoneMs } = this.#options
    const life = renew || after === 0 ? runningMs : 0
    const values: Argument[] = [after, ends ? 1 : 0, life, retentionMs, tombstoneMs, FOLLOWING_MS]
    for (const { last, json } of pieces) values.push(last, json)
    const [status, last] = toList(await this.#run(scripts.APPEND, [head, log, kept], values))
    return { status: toStatus(status), last: Number(last) }
  }

  async readPieces(id: string, after: number, most: number): Promise<string[]> {
    const entries = await this.#call('XRANGE', this.#keysOf(id).log, `(${after}-0`, '+', 'COUNT', most)
    return toList(entries).map((entry) => String(toList(toList(entry)[1])[1]))
  }

  async dropStream(id: string, tombstone: boolean): Promise<void> {
    const { head, log, kept } = this.#keysOf(id)
    await this.#run(scripts.DROP_STREAM, [head, log, kept], [tombstone ? this.#options.tombstoneMs : 0])
  }

  async claimName(name: string, { id = '', fingerprint, resuming, stale = '' }: NameClaim): Promise<NameClaimed> {
    const values = [id, fingerprint, resuming ? 1 : 0, stale, this.#options.runningMs]
    const [status, joined] = toList(await this.#run(scripts.CLAIM_NAME, [this.#nameKey(name)], values))
    switch (status) {
      case 'joined':
        return { status, id: String(joined) }
      case 'claimed':
      case 'conflict':
      case 'gone':
        return { status }
      default:
        throw unexpected(status)
    }
  }

  async setName(name: string, id: string): Promise<void> {
    await this.#run(scripts.SET_NAME, [this.#nameKey(name)], [id, this.#options.runningMs])
  }

  async findName(name: string): Promise<string | undefined> {
    const id = await this.#call('HGET', this.#nameKey(name), 'id')
    return typeof id === 'string' ? id : undefined
  }

  async settleName(name: string, id: string): Promise<void> {
    await this.#run(scripts.SETTLE_NAME, [this.#nameKey(name)], [id, this.#options.retentionMs])
  }

  async renewLease(lease: string, ms: number): Promise<boolean> {
    const held = await this.#run(scripts.RENEW_LEASE, [this.#nodesKey('lease', lease)], [ms])
    // Only a write tells: a Redis that is out of memory can still be read.
    this.#set(true)
    return held === 1
  }

  async endLease(lease: string): Promise<void> {
    await this.#call('DEL', this.#nodesKey('lease', lease))
  }

  async areHeld(leases: readonly string[]): Promise<boolean[]> {
    if (leases.length === 0) return []
    const values = await this.#call('MGET', ...leases.map((lease) => this.#nodesKey('lease', lease)))
    return toList(values).map((value) => value !== null)
  }

  async post(inbox: string, messages: readonly string[]): Promise<void> {
    for (let from = 0; from < messages.length; from += MOST_POSTED) {
      const some = messages.slice(from, from + MOST_POSTED)
      await this.#run(scripts.POST, [this.#inboxKey(inbox)], [INBOX_MESSAGES, INBOX_MS, ...some])
    }
  }

  listen(inbox: string, onMessages: (messages: readonly string[]) => void, onGap: () => void): void {
    this.#reader = this.#create({ reading: true })
    void this.#read(this.#reader, this.#inboxKey(inbox), onMessages, onGap)
  }

  async secret(name: string, fresh: string): Promise<string> {
    return String(await this.#run(scripts.SECRET, [this.#nodesKey('secret', name)], [fresh]))
  }

  take(claims: readonly Claim[], lease: string): Promise<Taken> {
    return this.#take(claims, lease, true)
  }

  async add(increment: Increment, lease: string): Promise<CounterState> {
    const { counters } = await this.#take([{ ...increment, most: Infinity }], lease, false)
    const [state] = counters
    if (!state) throw unexpected(counters)
    return state
  }

  async giveBack(amounts: readonly Amount[], lease: string): Promise<void> {
    if (amounts.length === 0) return
    const keys = amounts.flatMap(({ name }) => [this.#nodesKey('count', name), this.#nodesKey('gauge', name)])
    const values = [this.#nodesKey('lease', ''), lease, ...amounts.map(({ amount }) => amount)]
    await this.#run(scripts.GIVE_BACK, keys, values)
  }

  async hold(gauges: readonly Amount[], lease: string): Promise<void> {
    if (gauges.length === 0) return
    const keys = gauges.map(({ name }) => this.#nodesKey('gauge', name))
    await this.#run(scripts.HOLD, keys, [lease, ...gauges.map(({ amount }) => amount)])
  }

  async addUsage(date: string, amounts: ReadonlyMap<string, number>): Promise<void> {
    await this.#run(scripts.ADD_USAGE, [this.#nodesKey('usage', date)], [USAGE_MS, ...[...amounts].flat()])
  }

  async readUsage(date: string): Promise<Map<string, number>> {
    const fields = toList(await this.#call('HGETALL', this.#nodesKey('usage', date))).map(String)
    const amounts = new Map<string, number>()
    for (let i = 0; i < fields.length; i += 2) amounts.set(fields[i] ?? '', Number(fields[i + 1]))
    return amounts
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#client.disconnect()
    this.#reader?.disconnect()
  }

  async #take(claims: readonly Claim[], lease: string, checked: boolean): Promise<Taken> {
    const values: Argument[] = [this.#nodesKey('lease', ''), lease, checked ? 1 : 0]
    const keys = claims.map(({ name, amount, most, lastsMs }) => {
      const isGauge = lastsMs === Infinity
      values.push(isGauge ? 1 : 0, amount, most === Infinity ? '' : most, isGauge ? 0 : Math.ceil(lastsMs))
      return this.#nodesKey(isGauge ? 'gauge' : 'count', name)
    })
    if (keys.length === 0) return { ok: true, counters: [] }
    const [ok, states] = toList(await this.#run(scripts.TAKE, keys, values))
    const counters = toList(states).map((state, i) => {
      const [used, left] = toList(state)
      const lastsMs = claims[i]?.lastsMs ?? Infinity
      // Redis has no time for a counter that does not exist.
      return { used: Number(used), endsInMs: lastsMs === Infinity || Number(left) < 0 ? lastsMs : Number(left) }
    })
    return { ok: ok === 1, counters }
  }

  #create({ reading = false }): RedisClient {
    const client = createRedisClient(this.#address, { reading })
    client.on('error', this.#options.onFault)
    return client
  }

  /** One connection, however many streams are followed. */
  async #read(
    client: RedisClient,
    key: string,
    onMessages: (messages: readonly string[]) => void,
    onGap: () => void,
  ): Promise<void> {
    let last = '0-0'
    let missed = false
    await client.connect().catch(this.#options.onFault)
    while (!this.#closed) {
      try {
        const reply = await client.call('XREAD', 'COUNT', 1000, 'BLOCK', BLOCK_MS, 'STREAMS', key, last)
        if (missed) {
          // The clock of a new master may be behind the ids of the old one.
          if (await isBehind(client, key, last)) last = '0-0'
          onGap()
        }
        missed = false
        for (const entry of toList(toList(toList(reply)[0])[1])) {
          const [id, fields] = toList(entry)
          last = String(id)
          onMessages(toMessages(toList(fields)))
        }
      } catch (error) {
        if (this.#closed) return
        this.#options.onFault(toError(error))
        missed = true
        await sleep(RETRY_MS)
      }
    }
  }

  async #run({ sha, lua }: scripts.Script, keys: string[], values: Argument[]): Promise<unknown> {
    return this.#watch(async () => {
      try {
        return await this.#client.evalsha(sha, keys.length, ...keys, ...values)
      } catch (error) {
        if (!toError(error).message.startsWith('NOSCRIPT')) throw error
        return this.#client.eval(lua, keys.length, ...keys, ...values)
      }
    })
  }

  #call(command: string, ...values: Argument[]): Promise<unknown> {
    return this.#watch(() => this.#client.call(command, ...values))
  }

  async #watch(work: () => Promise<unknown>): Promise<unknown> {
    try {
      return await work()
    } catch (error) {
      this.#set(false)
      throw error
    }
  }

  #set(isUp: boolean): void {
    if (isUp === this.#isUp || this.#closed) return
    this.#isUp = isUp
    const isFirst = isUp && !this.#wasUp
    this.#wasUp ||= isUp
    if (!isFirst) for (const listener of this.#listeners) listener(isUp)
  }

  #keysOf(id: string): { head: string; log: string; kept: string } {
    const key = `${this.#options.prefix}{${id}}`
    return { head: `${key}:head`, log: `${key}:log`, kept: `${key}:kept` }
  }

  /** Names are chosen by clients, and may be long. */
  #nameKey(name: string): string {
    return `${this.#options.prefix}{${createHash('sha256').update(name).digest('base64url')}}:name`
  }

  #inboxKey(inbox: string): string {
    return `${this.#options.prefix}{${inbox}}:inbox`
  }

  /** Keys that belong to all nodes; in one slot, so that one script can compare and change several. */
  #nodesKey(kind: 'lease' | 'count' | 'gauge' | 'secret' | 'usage', name: string): string {
    return `${this.#options.prefix}{nodes}:${kind}:${name}`
  }
}

/** Before the reading connection is tried again, in milliseconds. */
const RETRY_MS = 100

/** Whether the newest entry of a stream is older than this id. */
async function isBehind(client: RedisClient, key: string, id: string): Promise<boolean> {
  const [newest] = toList(await client.call('XREVRANGE', key, '+', '-', 'COUNT', 1))
  const [newestId] = toList(newest)
  const [time = 0, count = 0] = typeof newestId === 'string' ? newestId.split('-').map(Number) : []
  const [lastTime = 0, lastCount = 0] = id.split('-').map(Number)
  return time < lastTime || (time === lastTime && count < lastCount)
}

function toList(reply: unknown): readonly unknown[] {
  return Array.isArray(reply) ? reply : []
}

function toStatus(status: unknown): Appended['status'] {
  switch (status) {
    case 'stored':
    case 'misplaced':
    case 'ended':
    case 'missing':
      return status
    default:
      throw unexpected(status)
  }
}

/** The values of the fields of an entry: each is a message. */
function toMessages(fields: readonly unknown[]): string[] {
  return fields.filter((_, i) => i % 2 === 1).map(String)
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}

function unexpected(reply: unknown): Error {
  return new Error(`Redis answered ${JSON.stringify(reply)}, which no version of this gateway writes.`)
}
