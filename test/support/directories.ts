import { setImmediate as nextTurn } from 'node:timers/promises'
import { Budget } from '../../src/store/budget.ts'
import type { Directory, Idempotency, Names } from '../../src/store/directory.ts'
import { MemoryDirectory } from '../../src/store/memory-directory.ts'
import type { Done } from '../../src/stream/events.ts'
import type { StreamInfo } from '../../src/stream/stream-log.ts'

type Method = 'create' | 'join' | 'find' | 'findByAlias'

/** A directory that is somewhere else: each answer waits for some turns of the event loop, and for the test. */
export class RemoteDirectory implements Directory {
  readonly #inner: MemoryDirectory
  /** Awaited after the call has taken effect, and before it is answered; what it throws is thrown. */
  onCall: (method: Method) => Promise<void> | void = () => {}
  /** How streams have ended, as it was told. */
  readonly ends: Done[] = []

  constructor(retentionMs = 60_000) {
    this.#inner = new MemoryDirectory({ retentionMs }, new Budget(Infinity))
  }

  create = (info: StreamInfo, names: Names) => this.#answer('create', this.#inner.create(info, names))
  join = (owner: string, key: Idempotency) => this.#answer('join', this.#inner.join(owner, key))
  find = (id: string, owner: string | undefined) => this.#answer('find', this.#inner.find(id, owner))
  findByAlias = (alias: string, owner: string) => this.#answer('findByAlias', this.#inner.findByAlias(alias, owner))

  ended(id: string, done: Done): void {
    this.ends.push(done)
    this.#inner.ended(id, done)
  }

  dropped(id: string, client: string): void {
    this.#inner.dropped(id, client)
  }

  /** It may be shared by several gateways. Its timers keep no process alive. */
  async close(): Promise<void> {}

  async #answer<T>(method: Method, answer: Promise<T>): Promise<T> {
    const settled = await Promise.allSettled([answer])
    for (let turn = 0; turn < 5; turn++) await nextTurn()
    await this.onCall(method)
    const [result] = settled
    if (result.status === 'rejected') throw result.reason
    return result.value
  }
}
