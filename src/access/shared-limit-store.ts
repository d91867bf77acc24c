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
/** In one call. */
const MOST_GAUGES = 500

/** The counters of all nodes. */
export class SharedLimitStore implements LimitStore {
  readonly #backplane: Backplane
  readonly #options: SharedLimitStoreOptions
  /** Changes that could not be made, by counter: what was spent counts as soon as that is possible. */
  readonly #waiting = new Map<string, Increment>()
  /** What this node holds of gauges, also 0 where the backplane may believe that it is more. */
  readonly #held = new Map<string, number>()
  /** Calls that change gauges. */
  readonly #changing = new Set<Promise<unknown>>()
  /** While the backplane is told what is held: nothing may change meanwhile. */
  #telling: Promise<void> | undefined
  /** Amounts that the local store has taken. */
  readonly #takenHere = new Map<string, number>()

  constructor(backplane: Backplane, options: SharedLimitStoreOptions) {
    this.#backplane = backplane
    this.#options = options
    backplane.onChange((isUp) => {
      if (!isUp) return
      void this.#catchUp()
      this.tellHeld()
    })
  }

  async take(claims: readonly Claim[], client: string): Promise<Taken> {
    const { local } = this.#options
    try {
      return await this.#change(() => this.#takeThere(claims))
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
    const { local } = this.#options
    const here: Amount[] = []
    const elsewhere: Amount[] = []
    for (const { name, amount } of amounts) {
      const taken = Math.min(amount, this.#takenHere.get(name) ?? 0)
      if (taken > 0) here.push({ name, amount: taken })
      if (taken < amount) elsewhere.push({ name, amount: amount - taken })
      this.#tookHere(name, -taken)
    }
    await local?.giveBack(here)
    await this.#change(() => this.#giveBackThere(elsewhere))
  }

  async close(): Promise<void> {
    await this.#catchUp()
    await this.#options.local?.close()
  }

  async #takeThere(claims: readonly Claim[]): Promise<Taken> {
    const gauges = claims.filter(({ lastsMs }) => lastsMs === Infinity)
    try {
      const taken = await this.#backplane.take(claims, this.#options.lease)
      if (taken.ok) this.#hold(gauges)
      return taken
    } catch (error) {
      // The call may still succeed; what is held is told again then.
      this.#hold(gauges.map(({ name }) => ({ name, amount: 0 })))
      throw error
    }
  }

  async #giveBackThere(amounts: readonly Amount[]): Promise<void> {
    const gauges = amounts.filter(({ name }) => this.#held.has(name))
    this.#hold(gauges.map(({ name, amount }) => ({ name, amount: -amount })))
    try {
      await this.#backplane.giveBack(amounts, this.#options.lease)
      this.#forget(gauges)
    } catch {
      for (const each of amounts)
        if (!gauges.includes(each)) this.#wait({ ...each, amount: -each.amount, lastsMs: Infinity })
    }
  }

  async #change<T>(work: () => Promise<T>): Promise<T> {
    while (this.#telling) await this.#telling
    const changing = work()
    this.#changing.add(changing)
    try {
      return await changing
    } finally {
      this.#changing.delete(changing)
    }
  }

  /** What the others know of this node's gauges may be wrong: tells them what it holds. */
  tellHeld(): void {
    if (this.#held.size === 0) return
    const telling = Promise.allSettled(this.#changing)
      .then(() => this.#tell())
      // Told again when it is back.
      .catch(() => {})
      .finally(() => {
        if (this.#telling === telling) this.#telling = undefined
      })
    this.#telling = telling
  }

  async #tell(): Promise<void> {
    const held = [...this.#held].map(([name, amount]) => ({ name, amount }))
    for (let i = 0; i < held.length; i += MOST_GAUGES) {
      const some = held.slice(i, i + MOST_GAUGES)
      await this.#backplane.hold(some, this.#options.lease)
      this.#forget(some)
    }
  }

  #hold(amounts: readonly Amount[]): void {
    for (const { name, amount } of amounts) {
      const held = this.#held.get(name)
      if (held === undefined && amount === 0 && this.#held.size >= MOST_WAITING) continue
      this.#held.set(name, Math.max(0, (held ?? 0) + amount))
    }
  }

  /** The backplane knows that nothing is held. */
  #forget(gauges: readonly Amount[]): void {
    for (const { name } of gauges) if (this.#held.get(name) === 0) this.#held.delete(name)
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
