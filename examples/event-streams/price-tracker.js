// @ts-check
/** Prices with ids: a reader that was away continues after the last one it has seen. */
import { EventEmitter, once } from 'node:events'

/** @type {string[]} An app would keep them in its database. */
const prices = []
const market = new EventEmitter().setMaxListeners(0)
setInterval(() => market.emit('price', prices.push((100 * Math.random()).toFixed(2))), 100).unref()

/** @type {import('sluice/sse').SourceFunction} */
export async function* priceTracker(signal, lastEventId) {
  for (let id = Number(lastEventId) + 1; ; id++) {
    while (prices.length < id) await once(market, 'price', { signal })
    yield { id, data: { symbol: 'SLCE', price: prices[id - 1] } }
  }
}
