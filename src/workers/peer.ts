import { isErrorCode, SluiceError } from '../errors.ts'
import { isRecord } from '../json.ts'
import type { Channel } from './channel.ts'

/** A message is a list of these, all those of a turn of the event loop. */
type Item =
  | { readonly type: 'call'; readonly id: number; readonly method: string; readonly args: readonly unknown[] }
  | { readonly type: 'result'; readonly id: number; readonly result: unknown }
  | { readonly type: 'failure'; readonly id: number; readonly failure: Failure }

interface Failure {
  readonly code: string | undefined
  readonly message: string
}

interface Pending {
  resolve(result: unknown): void
  reject(error: Error): void
}

/** Methods that can be called from the other process: arguments and results are copied. */
export type Methods<M> = { readonly [Name in keyof M]: (...args: never[]) => Promise<unknown> }

/** Calls methods of the other process, and lets it call those of this one. Both run the same program. */
export class Peer<Remote extends Methods<Remote>> {
  readonly #channel: Channel
  readonly #local: object
  readonly #pending = new Map<number, Pending>()
  #calls = 0
  #outgoing: Item[] = []
  #isOpen = true

  /** @param local the methods that the other process may call */
  constructor(channel: Channel, local: object) {
    this.#channel = channel
    this.#local = local
    channel.onMessage((message) => {
      // Whatever else plugins send is not for this.
      if (!isRecord(message) || !Array.isArray(message.sluice)) return
      const items: readonly Item[] = message.sluice
      for (const item of items) this.#receive(item)
    })
    channel.onClose(() => {
      this.#isOpen = false
      for (const pending of this.#pending.values()) pending.reject(unreachable())
      this.#pending.clear()
    })
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Rejects with what the method throws, or with `store_unavailable` when the other process is gone. */
  call<Name extends keyof Remote & string>(
    method: Name,
    ...args: Parameters<Remote[Name]>
  ): Promise<Awaited<ReturnType<Remote[Name]>>> {
    if (!this.#isOpen) return Promise.reject(unreachable())
    const id = (this.#calls += 1)
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject })
      this.#send({ type: 'call', id, method, args })
    })
  }

  #send(item: Item): void {
    this.#outgoing.push(item)
    if (this.#outgoing.length > 1) return
    setImmediate(() => {
      const sluice = this.#outgoing
      this.#outgoing = []
      if (this.#isOpen) this.#channel.send({ sluice })
    })
  }

  #receive(item: Item): void {
    if (item.type === 'call') {
      void this.#answer(item.id, item.method, item.args)
      return
    }
    const pending = this.#pending.get(item.id)
    this.#pending.delete(item.id)
    if (item.type === 'result') pending?.resolve(item.result)
    else pending?.reject(toError(item.failure))
  }

  async #answer(id: number, name: string, args: readonly unknown[]): Promise<void> {
    try {
      const method: unknown = Reflect.get(this.#local, name)
      if (typeof method !== 'function') throw new Error(`There is no method ${name}.`)
      this.#send({ type: 'result', id, result: await Reflect.apply(method, this.#local, args) })
    } catch (error) {
      this.#send({ type: 'failure', id, failure: toFailure(error) })
    }
  }
}

function unreachable(): SluiceError {
  return new SluiceError('store_unavailable', 'The process that keeps what workers share is gone.')
}

function toFailure(thrown: unknown): Failure {
  return {
    code: thrown instanceof SluiceError ? thrown.code : undefined,
    message: thrown instanceof Error ? thrown.message : String(thrown),
  }
}

function toError({ code, message }: Failure): Error {
  return isErrorCode(code) ? new SluiceError(code, message) : new Error(message)
}
