// @ts-check
/** An `update` when the status of a job has changed, and an `end`, after which the browser does not come back. */
import { setTimeout as sleep } from 'node:timers/promises'

let startedAt = Infinity
const readStatus = () => ['queued', 'running', 'finished'][Math.min(2, Math.floor((Date.now() - startedAt) / 500))]

/** @type {import('sluice/sse').SourceFunction} */
export async function* jobStatus(signal) {
  startedAt = Math.min(startedAt, Date.now())
  yield { retry: 500 }
  for (let shown; shown !== 'finished'; await sleep(50, undefined, { signal })) {
    const status = readStatus()
    if (status !== shown) yield { event: 'update', data: { status: (shown = status) } }
  }
  yield { event: 'end', last: true }
}
