// @ts-check
/** A measurement every 10 ms. A reader that is too slow for it is not sent more than it reads. */
import { setTimeout as sleep } from 'node:timers/promises'

/** @type {import('sluice/sse').SourceFunction} */
export async function* temperature(signal) {
  for (let celsius = 20; ; celsius += Math.random() - 0.5) {
    yield { data: celsius.toFixed(2) }
    await sleep(10, undefined, { signal })
  }
}
