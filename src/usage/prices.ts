// The cost of an answer, by `prices` in the configuration.

import { z } from 'zod'
import { toNanos } from '../cost.ts'
import { numeric } from '../setting-schemas.ts'
import type { Usage } from '../stream/events.ts'
import { cachedTokens } from '../wires/anthropic-usage.ts'

const amount = numeric(z.number().min(0).max(1e9))

/** Per million tokens. */
const priceSchema = z.strictObject({
  input: amount,
  output: amount,
  /** Prompt tokens read from the provider's cache; like `input` when absent. */
  cachedInput: amount.optional(),
  /** Prompt tokens written to it; like `input` when absent. */
  cacheWrite: amount.optional(),
})

/** By `provider/model` or by the name that requests use; either may end in `*`. */
export const pricesSchema = z.record(z.string().regex(/^[^*]*\*?$/, 'may hold a "*" at its end only'), priceSchema)

export type Price = z.infer<typeof priceSchema>
export type Prices = z.infer<typeof pricesSchema>

/** At a price of 1. */
const NANOS_PER_TOKEN = toNanos(1e-6)

/** An upstream may report any number. */
const MAX_TOKENS = 1e9
const MAX_NANOS = 1e15

/** The prices of a gateway. */
export class PriceList {
  readonly #exact: ReadonlyMap<string, Price>
  /** Names that end in `*`, without it; the longest first. */
  readonly #prefixes: readonly (readonly [prefix: string, price: Price])[]

  constructor(prices: Prices) {
    const all = Object.entries(prices)
    this.#exact = new Map(all.filter(([name]) => !name.endsWith('*')))
    this.#prefixes = all
      .filter(([name]) => name.endsWith('*'))
      .map(([name, price]) => [name.slice(0, -1), price] as const)
      .toSorted(([a], [b]) => b.length - a.length)
  }

  get empty(): boolean {
    return this.#exact.size === 0 && this.#prefixes.length === 0
  }

  /**
   * A name in full comes before one that ends in `*`, and the target that answered before the requested name. The model
   * alone is the last: a request for `provider/model` must not be free where only `model` has a price.
   *
   * @param target `provider/model`
   * @param requested the name of the model that the request used
   */
  find(target: string, requested: string): Price | undefined {
    const names = [target, requested, target.slice(target.indexOf('/') + 1)]
    return firstOf(names, (name) => this.#exact.get(name)) ?? firstOf(names, (name) => this.#findPrefix(name))
  }

  #findPrefix(name: string): Price | undefined {
    return this.#prefixes.find(([prefix]) => name.startsWith(prefix))?.[1]
  }
}

function firstOf(names: readonly string[], find: (name: string) => Price | undefined): Price | undefined {
  for (const name of names) {
    const price = find(name)
    if (price) return price
  }
  return undefined
}

/** The cost of an answer, in billionths of the currency; always a whole number. */
export function nanosOf(usage: Usage, { input, output, cachedInput = input, cacheWrite = input }: Price): number {
  const { read, written } = cachedTokens(usage)
  const { prompt_tokens, completion_tokens } = tokensOf(usage)
  const cached = Math.min(prompt_tokens, read)
  const stored = Math.min(prompt_tokens - cached, written)
  const cost =
    (prompt_tokens - cached - stored) * input + cached * cachedInput + stored * cacheWrite + completion_tokens * output
  return Math.min(MAX_NANOS, Math.round(cost * NANOS_PER_TOKEN))
}

/** The tokens to charge for. */
export function tokensOf({ prompt_tokens, completion_tokens }: Usage): {
  prompt_tokens: number
  completion_tokens: number
} {
  return { prompt_tokens: toTokens(prompt_tokens), completion_tokens: toTokens(completion_tokens) }
}

function toTokens(count: number): number {
  return Math.min(MAX_TOKENS, Math.round(count))
}
