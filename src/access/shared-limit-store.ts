import { SluiceError } from '../errors.ts'
import type { Backplane } from '../store/backplane/backplane.ts'
import type { Amount, Claim, CounterState, Increment, LimitStore, Taken } from './limit-store.ts'

export interface SharedLimitStoreOptions {
  /** Under which gauges are held: they are free again when this node is gone. */
  lease: string
  /** Counts while the backplane is away; without it, requests are then refused. */
  local?: LimitStore | undefined
}

/** Counters whose changes wait for the backplane; changes of further ones are lost. */
const MOST_WAITING = 10_000

/** The counters of all nodes. */
export class SharedLimitStore implements LimitStore {
  readonly #backplane: Backplane
  readonly #options: SharedLimitStoreOptions
  /** Changes that could not be made, by counter: what was spent counts as soon as that is possible. */
  readonly #waiting = new Map<string, Increment>()
  /** Amounts that the local store has taken. */
  readonly #takenHere = new Map<string, number>()

  constructor(backplane: Backplane, options: SharedLimitStoreOptions) {
    this.#backplane = backplane
    this.#options = options
    backplane.onChange((isUp) => isUp && void this.#catchUp())
  }

  async take(claims: readonly Claim[], client: string): Promise<Taken> {
    const { lease, local } = this.#options
    try {
      return await this.#backplane.take(claims, lease)
    } catch (cause) {
      if (!local) throw unavailable(cause)
      const taken = await local.take(claims, client)
      if (taken.ok) for (const { name, amount } of claims) this.#tookHere(name, amount)
      return taken
    }
  }

  async add(increment: Increment): Promise<CounterState> {
    try {
      return await this.#backplane.add(increment, this.#options.lease)
    } catch {
      this.#wait(increment)
      return { used: increment.amount, endsInMs: increment.lastsMs }
    }
  }

  async giveBack(amounts: readonly Amount[]): Promise<void> {
    const { lease, local } = this.#options
    const here: Amount[] = []
    const elsewhere: Amount[] = []
    for (const { name, amount } of amounts) {
      const taken = Math.min(amount, this.#takenHere.get(name) ?? 0)
      if (taken > 0) here.push({ name, amount: taken })
      if (taken < amount) elsewhere.push({ name, amount: amount - taken })
      this.#tookHere(name, -taken)
    }
    await local?.giveBack(here)
    try {
      await this.#backplane.giveBack(elsewhere, lease)
    } catch {
      for (const { name, amount } of elsewhere) this.#wait({ name, amount: -amount, lastsMs: Infinity })
    }
  }

  async close(): Promise<void> {
    await this.#catchUp()
    await this.#options.local?.close()
  }

  #tookHere(name: string, amount: number): void {
    const sum = (this.#takenHere.get(name) ?? 0) + amount
    if (sum > 0) this.#takenHere.set(name, sum)
    else this.#takenHere.delete(name)
  }

  #wait({ name, amount, lastsMs }: Increment): void {
    const waiting = this.#waiting.get(name)
    if (!waiting && this.#waiting.size >= MOST_WAITING) return
    const sum = (waiting?.amount ?? 0) + amount
    this.#waiting.set(name, { name, amount: sum, lastsMs: Math.min(lastsMs, waiting?.lastsMs ?? Infinity) })
  }

  async #catchUp(): Promise<void> {
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    await Promise.all(
      waiting.map((each) =>
        each.amount > 0 ? this.add(each) : this.giveBack([{ name: each.name, amount: -each.amount }]),
      ),
    )
  }
}

function unavailable(cause: unknown): SluiceError {
  return new SluiceError('store_unavailable', 'The gateway cannot reach its limits; try again later.', {
    cause,
    retryAfter: 5,
  })
}
