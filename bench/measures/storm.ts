import { createStream, readRequest, WITH_KEY } from '../peers/sluice.ts'
import { MARK } from '../request.ts'
import { median, number, spread } from '../statistics.ts'
import type { Measure } from './measure.ts'
import { withSluice } from './with-sluice.ts'

/** Of each stream; then it is silent, but open. */
const TOKENS = 200
const SEEN = 100

export const storm: Measure = {
  name: 'storm',
  run: (bench) =>
    withSluice(bench, { env: { RESUME_WINDOW_MS: '600000' }, guarded: true }, async ({ port }) => {
      const count = bench.choose(5000, 1000)
      const requests = await createStreams(port, count)
      const until = TOKENS - SEEN
      const times: number[] = []
      for (let round = 1; round <= bench.choose(3, 1); round++) {
        const options = { port, requests, count, atOnce: count, until, addresses: 2 }
        const elapsed = await bench.rig.open({ rate: 1 }, options)
        times.push(elapsed)
        bench.progress(`storm ${round}: ${number(elapsed, 0)} ms`)
        const { tokens } = await bench.rig.load('counters')
        if (tokens !== count * until) throw new Error(`${tokens} of ${count * until} tokens were resumed.`)
      }
      const perSecond = times.map((milliseconds) => (count / milliseconds) * 1000)
      return {
        title: 'Everybody comes back at once',
        method: `${number(count, 0)} open streams with ${TOKENS} tokens each; ${number(count, 0)} readers connect in the same moment, each to another stream with \`Last-Event-ID: ${SEEN}\`. Until the last of them has all that it missed. With access control and a log.`,
        columns: ['', 'Sluice'],
        rows: [
          ['until all have caught up, ms', spread(times, 0)],
          ['resumes a second', spread(perSecond, 0)],
        ],
        targets: [{ what: 'resumes a second, all at once', value: median(perSecond), atLeast: 4000 }],
      }
    }),
}

/** Resolves to the requests that resume them. */
async function createStreams(port: number, count: number): Promise<string[]> {
  const body = {
    messages: [{ role: 'user', content: 'hi' }],
    mock: { text: `${MARK}word `.repeat(TOKENS + 1), interval_ms: 0, stall_at: TOKENS },
  }
  const requests: string[] = []
  let begun = 0
  const create = async () => {
    while (begun < count) {
      begun += 1
      requests.push(readRequest(port, await createStream(port, body, WITH_KEY), SEEN, WITH_KEY))
    }
  }
  await Promise.all(Array.from({ length: 32 }, create))
  return requests
}
