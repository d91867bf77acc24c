// @ts-check
/**
 * A provider from outside Sluice, in one file: prices of stocks that never were, as a stream of tokens. Sluice knows
 * nothing of stocks; what streams, resumes and can be watched is whatever a provider yields. In `sluice.yaml`:
 *
 *   providers:
 *     ticker:
 *       module: ./examples/stock-ticker.js
 *       options: { symbols: [SLCE, FLUX], interval_ms: 500 }
 *
 * A request for the model `ticker` reads it; `seed` says which course the prices take, `max_tokens` how long.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { defineProvider } from 'sluice'

export default defineProvider({
  name: 'ticker',
  models: ['ticker'],

  async *stream({ seed, max_tokens }, { signal, options }) {
    const symbols = Array.isArray(options.symbols) ? options.symbols.map(String) : ['SLCE', 'FLUX', 'LOCK']
    const interval = Number(options.interval_ms ?? 500)
    const limit = max_tokens ?? 100
    const random = seeded(seed ?? 1)
    const prices = symbols.map(() => 50 + 100 * random())

    for (let tick = 0; tick < limit; tick++) {
      // Also ends the wait, by throwing, when the stream is over.
      await sleep(interval, undefined, { signal })
      const which = tick % symbols.length
      const price = (prices[which] ?? 0) * (1 + (random() - 0.5) / 50)
      prices[which] = price
      yield { type: 'delta', content: `${symbols[which]} ${price.toFixed(2)}\n` }
    }
    yield {
      type: 'done',
      finish_reason: 'length',
      usage: { prompt_tokens: 0, completion_tokens: limit, total_tokens: limit },
    }
  },
})

/**
 * Numbers in [0, 1), the same ones for the same seed.
 * @param {number} seed
 * @returns {() => number}
 */
function seeded(seed) {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
