import { setTimeout as sleep } from 'node:timers/promises'
import { createStream, readRequest } from '../peers/sluice.ts'
import { chatBody } from '../request.ts'
import { median, number, quantile } from '../statistics.ts'
import type { Measure } from './measure.ts'
import { withSluice } from './with-sluice.ts'

const RATE = 5

export const readers: Measure = {
  name: 'readers',
  run: (bench) =>
    withSluice(bench, {}, async ({ process, port }) => {
      const { rig } = bench
      const count = bench.choose(5000, 1000)
      await rig.upstream('configure', { rate: RATE })
      const requests = [readRequest(port, await createStream(port, chatBody('openai/bench')))]
      await rig.load('open', { port, requests, count, addresses: 2 })
      await sleep(1000)
      const first = (await rig.upstream('counters')).sent
      const sample = await rig.steadySample(process, bench.choose(5000, 1000), 'readers')
      const last = (await rig.upstream('counters')).sent
      // The last of these has reached everybody by then.
      await sleep(1000 / RATE)
      const [sentAt, arrivedAt] = [await rig.upstream('sentAt'), await rig.load('arrivedAt')]
      const delays = sentAt.slice(first, last).map((at, i) => arrivedAt[first + i]! - at)
      const { complete, sent, received } = await rig.finish(10_000)
      const perFrame = (sample.cpuSeconds * 1e6) / sample.tokens
      bench.progress(`${count} readers: ${number(perFrame)} µs a frame, the last after ${number(median(delays))} ms`)
      if (!complete || received !== sent * count)
        throw new Error(`${count} readers of ${sent} tokens got ${received} in all.`)
      return {
        title: 'One stream, many readers',
        method: `One stream of ${RATE} tokens a second from the upstream, ${number(count, 0)} readers. CPU by the tokens that reached them all together; the delay is from the upstream's write to the last reader's read, on one clock.`,
        columns: ['', 'Sluice'],
        rows: [
          ['CPU per frame and reader, µs', number(perFrame)],
          ['until the last reader has a token, ms: median', number(median(delays))],
          ['… worst', number(quantile(delays, 1))],
        ],
      }
    }),
}
