import type { Caller } from './caller.ts'
import { counterOf, type Rule } from './limit-rules.ts'
import type { Amount, Claim, CounterState, LimitStore } from './limit-store.ts'

/** Tokens by which a stream that outgrows its reservation reserves more: a call to the store for each would cost more. */
const STEP_TOKENS = 256

/** The use of a request, once that is known. */
export interface Spent {
  readonly tokens: number
  /** In billionths of the currency. */
  readonly cost: number
}

export const NOTHING: Spent = { tokens: 0, cost: 0 }

/** The part of a reservation in one counter. */
interface Part {
  readonly name: string
  amount: number
  /** When its counter is back at 0. */
  endsAt: number
}

/** The reservation under one limit. A limit has a new counter each minute, day or month, hence the parts. */
interface Holding {
  readonly rule: Rule
  readonly parts: Part[]
}

export interface Clock {
  /** Milliseconds since the epoch: days and months begin by it. */
  today(): number
  /** Monotonic, in milliseconds. */
  now(): number
}

export interface AdmissionParts {
  store: LimitStore
  clock: Clock
  caller: Caller
  rules: readonly Rule[]
  claims: readonly Claim[]
  counters: readonly CounterState[]
  /** Estimated tokens of the prompt. */
  promptTokens: number
}

/**
 * The reservation that an admitted request has made in the counters of its caller. It is settled once, with the actual
 * use. Invariant: a counter is the use of settled requests plus the reservations of the others.
 */
export class Admission {
  readonly #store: LimitStore
  readonly #clock: Clock
  readonly #caller: Caller
  readonly #holdings: readonly Holding[]
  readonly #promptTokens: number
  /** Number of deltas that every reservation of tokens covers. */
  #covered = Infinity
  #isSettled = false
  /** Calls to the store that run. */
  #pending: Promise<unknown> = DONE

  constructor({ store, clock, caller, rules, claims, counters, promptTokens }: AdmissionParts) {
    this.#store = store
    this.#clock = clock
    this.#caller = caller
    this.#promptTokens = promptTokens
    const now = clock.now()
    this.#holdings = claims.flatMap(({ name, amount }, i) => {
      const rule = rules[i]
      // A request stays counted.
      if (!rule || rule.unit === 'requests') return []
      return { rule, parts: [{ name, amount, endsAt: now + (counters[i]?.endsInMs ?? 0) }] }
    })
    this.#measure()
  }

  /**
   * The stream has `total` deltas now, each about a token. When they outgrow the reservation, more is reserved at once,
   * without a check: running streams are never cut by a limit.
   */
  flowed(total: number): void {
    if (total <= this.#covered || this.#isSettled) return
    const needed = this.#promptTokens + total
    for (const holding of this.#holdings)
      if (holding.rule.unit === 'tokens' && held(holding) < needed)
        this.#grow(holding, needed - held(holding) + STEP_TOKENS)
    this.#measure()
  }

  /** Replaces the reservation by the actual use. Only the first call counts. */
  async settle({ tokens, cost }: Spent): Promise<void> {
    if (this.#isSettled) return
    this.#isSettled = true
    // Reservations in flight: their counters' ends are known only afterwards.
    await this.#pending
    const unused: Amount[] = []
    for (const holding of this.#holdings) {
      const { unit } = holding.rule
      const used = toAmount(unit === 'tokens' ? tokens : unit === 'cost' ? cost : 0)
      const excess = used - held(holding)
      if (excess > 0) this.#grow(holding, excess)
      else unused.push(...this.#newest(holding, -excess))
    }
    if (unused.length > 0) await this.#store.giveBack(unused)
    await this.#pending
  }

  #measure(): void {
    this.#covered = Infinity
    for (const holding of this.#holdings)
      if (holding.rule.unit === 'tokens')
        this.#covered = Math.min(this.#covered, Math.max(0, held(holding) - this.#promptTokens))
  }

  /** Adds to the present counter of the holding's limit. */
  #grow({ rule, parts }: Holding, amount: number): void {
    const { name, lastsMs } = counterOf(rule, this.#caller, amount, this.#clock.today())
    let part = parts.at(-1)
    if (part?.name === name && part.endsAt > this.#clock.now()) part.amount += amount
    else parts.push((part = { name, amount, endsAt: 0 }))
    this.#pending = Promise.all([this.#pending, this.#add(part, amount, lastsMs)])
  }

  async #add(part: Part, amount: number, lastsMs: number): Promise<void> {
    const { endsInMs } = await this.#store.add({ name: part.name, amount, lastsMs }, clientOf(this.#caller))
    part.endsAt = this.#clock.now() + endsInMs
  }

  /** The amounts to give back, from the newest parts first. Counters that have ended need none back. */
  #newest({ parts }: Holding, amount: number): Amount[] {
    let left = amount
    const now = this.#clock.now()
    return parts.toReversed().flatMap((part) => {
      const taken = Math.min(left, part.amount)
      left -= taken
      return taken > 0 && part.endsAt > now ? [{ name: part.name, amount: taken }] : []
    })
  }
}

const DONE: Promise<void> = Promise.resolve()

function held({ parts }: Holding): number {
  let sum = 0
  for (const { amount } of parts) sum += amount
  return sum
}

/** An upstream may report any number. */
function toAmount(value: number): number {
  return Math.min(Math.ceil(value), Number.MAX_SAFE_INTEGER)
}

/** The client to which the budget charges counters: a key pays for those of all its users. */
export function clientOf({ principal }: Caller): string {
  return principal.name
}
