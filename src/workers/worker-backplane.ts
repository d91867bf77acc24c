import type { Amount, Claim, CounterState, Increment, Taken } from '../access/limit-store.ts'
import type {
  Append,
  Appended,
  Backplane,
  NameClaim,
  NameClaimed,
  NewStream,
  RecordLifetimes,
  StreamRecord,
} from '../store/backplane/backplane.ts'
import type { BackplaneMethods } from './methods.ts'
import type { Peer } from './peer.ts'

interface Listener {
  readonly onMessages: (messages: readonly string[]) => void
  readonly onGap: () => void
}

/** What the workers of a gateway share, in the memory of their primary. Not up again once the primary is gone. */
export class WorkerBackplane implements Backplane {
  readonly #peer: Pick<Peer<BackplaneMethods>, 'call' | 'isOpen'>
  readonly #listeners = new Map<string, Listener>()

  constructor(peer: Pick<Peer<BackplaneMethods>, 'call' | 'isOpen'>, lifetimes: RecordLifetimes) {
    this.#peer = peer
    // When it fails, so does everything after it.
    peer.call('open', lifetimes).catch(() => {})
  }

  get isUp(): boolean {
    return this.#peer.isOpen
  }

  /** A worker without its primary ends. */
  onChange(): void {}

  /** Passes on what the primary delivers. */
  deliver(inbox: string, messages: readonly string[], gap: boolean): void {
    const listener = this.#listeners.get(inbox)
    if (gap) listener?.onGap()
    if (messages.length > 0) listener?.onMessages(messages)
  }

  createStream(stream: NewStream): Promise<void> {
    return this.#peer.call('createStream', stream)
  }

  findStream(id: string): Promise<StreamRecord | undefined> {
    return this.#peer.call('findStream', id)
  }

  append(append: Append, renew: boolean): Promise<Appended> {
    return this.#peer.call('append', append, renew)
  }

  readPieces(id: string, after: number, most: number): Promise<string[]> {
    return this.#peer.call('readPieces', id, after, most)
  }

  dropStream(id: string, tombstone: boolean): Promise<void> {
    return this.#peer.call('dropStream', id, tombstone)
  }

  claimName(name: string, claim: NameClaim): Promise<NameClaimed> {
    return this.#peer.call('claimName', name, claim)
  }

  setName(name: string, id: string): Promise<void> {
    return this.#peer.call('setName', name, id)
  }

  findName(name: string): Promise<string | undefined> {
    return this.#peer.call('findName', name)
  }

  settleName(name: string, id: string): Promise<void> {
    return this.#peer.call('settleName', name, id)
  }

  renewLease(lease: string, ms: number): Promise<boolean> {
    return this.#peer.call('renewLease', lease, ms)
  }

  endLease(lease: string): Promise<void> {
    return this.#peer.call('endLease', lease)
  }

  areHeld(leases: readonly string[]): Promise<boolean[]> {
    return this.#peer.call('areHeld', leases)
  }

  post(inbox: string, messages: readonly string[]): Promise<void> {
    return this.#peer.call('post', inbox, messages)
  }

  listen(inbox: string, onMessages: (messages: readonly string[]) => void, onGap: () => void): void {
    this.#listeners.set(inbox, { onMessages, onGap })
    this.#peer.call('listen', inbox).catch(() => {})
  }

  secret(name: string, fresh: string): Promise<string> {
    return this.#peer.call('secret', name, fresh)
  }

  take(claims: readonly Claim[], lease: string): Promise<Taken> {
    return this.#peer.call('take', claims, lease)
  }

  add(increment: Increment, lease: string): Promise<CounterState> {
    return this.#peer.call('add', increment, lease)
  }

  giveBack(amounts: readonly Amount[], lease: string): Promise<void> {
    return this.#peer.call('giveBack', amounts, lease)
  }

  hold(gauges: readonly Amount[], lease: string): Promise<void> {
    return this.#peer.call('hold', gauges, lease)
  }

  addUsage(date: string, amounts: ReadonlyMap<string, number>): Promise<void> {
    return this.#peer.call('addUsage', date, amounts)
  }

  readUsage(date: string): Promise<Map<string, number>> {
    return this.#peer.call('readUsage', date)
  }

  /** The channel stays: the worker ends with it. */
  async close(): Promise<void> {
    this.#listeners.clear()
  }
}
