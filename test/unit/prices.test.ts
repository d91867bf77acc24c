import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatCost } from '../../src/cost.ts'
import { nanosOf, PriceList } from '../../src/usage/prices.ts'

const price = (input: number) => ({ input, output: 0 })

describe('the price of an answer', () => {
  const prices = new PriceList({
    '*': price(1),
    'openai/*': price(2),
    'openai/gpt-*': price(3),
    'openai/gpt-9': price(4),
    fast: price(5),
    'slow*': price(6),
  })

  it.each([
    ['openai/gpt-9', 'fast', 4],
    ['openai/gpt-8', 'fast', 5],
    ['openai/gpt-8', 'other', 3],
    ['openai/o9', 'other', 2],
    ['anthropic/x', 'slower', 1],
  ])('of %s, asked for as %s', (target, requested, input) => {
    expect(prices.find(target, requested)?.input).toBe(input)
  })

  it('is that of the requested name when the target has none', () => {
    const list = new PriceList({ 'fas*': price(1), 'a/b': price(2) })
    expect(list.find('c/d', 'fast')?.input).toBe(1)
    expect(list.find('c/d', 'slow')).toBeUndefined()
    expect(new PriceList({}).find('c/d', 'fast')).toBeUndefined()
  })
})

it('a model with a price is not free when a request names its provider, too', () => {
  const list = new PriceList({ 'gpt-9': price(1), 'gpt-*': price(2), '*': price(3) })
  expect(list.find('openai/gpt-9', 'openai/gpt-9')?.input).toBe(1)
  expect(new PriceList({ 'gpt-*': price(2) }).find('openai/gpt-8', 'openai/gpt-8')?.input).toBe(2)
})

describe('the cost of an answer', () => {
  const usage = { prompt_tokens: 1000, completion_tokens: 100, total_tokens: 1100 }

  it.each([
    ['plain', {}, 2_000_000 + 1_000_000],
    ['cached, as OpenAI says it', { prompt_tokens_details: { cached_tokens: 400 } }, 1_200_000 + 200_000 + 1_000_000],
    [
      'cached and written, as Anthropic says it',
      { cache_read_input_tokens: 400, cache_creation_input_tokens: 100 },
      1_000_000 + 200_000 + 250_000 + 1_000_000,
    ],
    ['more cached than there is', { prompt_tokens_details: { cached_tokens: 9999 } }, 500_000 + 1_000_000],
    ['nonsense', { prompt_tokens_details: { cached_tokens: -5 }, cache_creation_input_tokens: NaN }, 3_000_000],
  ])('%s', (_, details, nanos) => {
    const all = { input: 2, output: 10, cachedInput: 0.5, cacheWrite: 2.5 }
    expect(nanosOf({ ...usage, ...details }, all)).toBe(nanos)
  })

  it('takes cached tokens for others where they have no price', () => {
    expect(nanosOf({ ...usage, cache_read_input_tokens: 400 }, { input: 2, output: 10 })).toBe(3_000_000)
  })

  it('is a whole number of billionths, which a sum keeps exact, whatever an upstream reports', () => {
    const count = fc.oneof(fc.nat(), fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }))
    const amount = fc.double({ min: 0, max: 1e9, noNaN: true })
    fc.assert(
      fc.property(
        count,
        count,
        count,
        amount,
        amount,
        (prompt_tokens, completion_tokens, cached_tokens, input, output) => {
          const given = { prompt_tokens, completion_tokens, total_tokens: 0, prompt_tokens_details: { cached_tokens } }
          const nanos = nanosOf(given, { input, output })
          expect(Number.isSafeInteger(nanos)).toBe(true)
          expect(nanos).toBeGreaterThanOrEqual(0)
        },
      ),
    )
  })

  it('is printed without an exponent', () => {
    expect([0, 1e-9, 0.000012, 1.5, 20].map(formatCost)).toEqual(['0', '0.000000001', '0.000012', '1.5', '20'])
  })
})
