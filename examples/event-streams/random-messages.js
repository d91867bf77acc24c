// @ts-check
/** A message now and then; the ids count on after a reconnect. */
import { setTimeout as sleep } from 'node:timers/promises'

const TEXTS = ['Hello.', 'Is anybody there?', 'It is raining.', 'Lunch is ready.']

/** @type {import('sluice/sse').SourceFunction} */
export async function* randomMessages(signal, lastEventId) {
  for (let id = Number(lastEventId) + 1; ; id++) {
    await sleep(Math.random() * 500, undefined, { signal })
    yield { id, data: TEXTS[Math.floor(Math.random() * TEXTS.length)] }
  }
}
