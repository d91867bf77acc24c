// Charges: every use of the gateway gets a price, and is told once to all that record it.

import type { Caller } from '../access/caller.ts'
import { toCost } from '../cost.ts'
import type { Usage } from '../stream/events.ts'
import { nanosOf, PriceList, tokensOf, type Prices } from './prices.ts'
import { sharedTokenCounter, type TokenCounter } from './token-counter.ts'

/** The charge for one stream, or for one request that was passed on. */
export interface Charge {
  readonly kind: 'stream' | 'forward'
  /** Milliseconds since the epoch. */
  readonly time: number
  readonly caller: Caller
  /** Undefined for a request that was passed on. Not to be recorded: it lets its holder read the stream. */
  readonly streamId: string | undefined
  readonly protocol: string
  /** The target that answered, or would have. */
  readonly provider: string
  readonly model: string
  readonly finish_reason: string
  /** Whole numbers. */
  readonly prompt_tokens: number
  readonly completion_tokens: number
  readonly estimated: boolean
  /** In billionths of the currency; undefined where there is no price. */
  readonly nanos: number | undefined
  readonly duration_ms: number
}

/** What a charge takes from the limits of its caller. */
export function spentOn({ prompt_tokens, completion_tokens, nanos = 0 }: Charge): { tokens: number; cost: number } {
  return { tokens: prompt_tokens + completion_tokens, cost: nanos }
}

/** The same before it has a price. */
export interface Used extends Omit<Charge, 'time' | 'prompt_tokens' | 'completion_tokens' | 'estimated' | 'nanos'> {
  usage: Usage
  /** The name of the model that the request used. */
  requested: string
}

export const NO_USAGE: Usage = Object.freeze({ prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 })

export class Accounts {
  readonly counter: TokenCounter
  readonly #prices: PriceList
  readonly #listeners: ((charge: Charge) => void)[]

  constructor(prices: Prices, counter = sharedTokenCounter(), listeners: ((charge: Charge) => void)[] = []) {
    this.#prices = new PriceList(prices)
    this.counter = counter
    this.#listeners = listeners
  }

  /** The same accounts at other prices. */
  withPrices(prices: Prices): Accounts {
    return new Accounts(prices, this.counter, this.#listeners)
  }

  /** Calls `listener` with every charge. It must not throw. */
  onCharge(listener: (charge: Charge) => void): void {
    this.#listeners.push(listener)
  }

  /** In the currency of the prices; undefined where there is none. */
  costOf(usage: Usage, answer: Answerer): number | undefined {
    const nanos = this.nanosOf(usage, answer)
    return nanos === undefined ? undefined : toCost(nanos)
  }

  hasPrice({ provider, model, requested }: Answerer): boolean {
    return this.#prices.find(`${provider}/${model}`, requested) !== undefined
  }

  /** In billionths; undefined where there is no price. */
  nanosOf(usage: Usage, { provider, model, requested }: Answerer): number | undefined {
    if (this.#prices.empty) return undefined
    const price = this.#prices.find(`${provider}/${model}`, requested)
    return price && nanosOf(usage, price)
  }

  /** Prices a use, and tells all listeners. */
  add(used: Used): Charge {
    const { usage } = used
    const { prompt_tokens, completion_tokens } = tokensOf(usage)
    // Not a spread, which costs several microseconds.
    const charge: Charge = {
      kind: used.kind,
      time: Date.now(),
      caller: used.caller,
      streamId: used.streamId,
      protocol: used.protocol,
      provider: used.provider,
      model: used.model,
      finish_reason: used.finish_reason,
      prompt_tokens,
      completion_tokens,
      estimated: usage.estimated === true,
      nanos: this.nanosOf(usage, used),
      duration_ms: used.duration_ms,
    }
    for (const listener of this.#listeners) listener(charge)
    return charge
  }

  close(): void {
    this.counter.rest()
  }
}

interface Answerer {
  provider: string
  model: string
  requested: string
}
