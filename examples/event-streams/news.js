// @ts-check
/** Named events beside unnamed ones: `addEventListener('headline', …)` gets the one, `onmessage` the other. */
import { setTimeout as sleep } from 'node:timers/promises'

/** @type {import('sluice/sse').SourceFunction} */
export async function* news(signal) {
  for (let hour = 0; ; hour = (hour + 1) % 24) {
    yield { data: `It is ${hour} o'clock.` }
    if (hour % 6 === 0) yield { event: 'headline', data: { title: 'Nothing has happened', hour } }
    await sleep(100, undefined, { signal })
  }
}
