import { chatRequest, startSluice } from '../peers/sluice.ts'
import { number, spread } from '../statistics.ts'
import { flood } from './flood.ts'
import { Collected, cpuPerToken, interleave, type Measure } from './measure.ts'

export const flush: Measure = {
  name: 'flush',
  fullOnly: true,
  async run({ rig, choose, dist, node, progress }) {
    const subjects = await Promise.all(
      [0, 16, 50].map(async (milliseconds) => {
        const env = { FLUSH_INTERVAL_MS: String(milliseconds) }
        const { process, port } = await startSluice(rig.upstreamPort, { dist, node, env })
        return { milliseconds, running: { process, port, request: chatRequest(port) } }
      }),
    )
    const cpu = new Collected()
    const together = new Collected()
    try {
      await interleave(choose(3, 1), subjects, async ({ milliseconds, running }, round) => {
        const result = await flood(rig, running, `flush, ${milliseconds} ms`, {
          streams: 200,
          rate: 200,
          warmMs: choose(700, 400),
          measureMs: choose(2000, 700),
        })
        const cost = cpuPerToken(result)
        cpu.add(cost, milliseconds)
        together.add(result.tokens / result.reads, milliseconds)
        progress(`flush ${round} · ${milliseconds} ms: ${number(cost)} µs a token`)
      })
    } finally {
      await Promise.all(subjects.map(({ running }) => running.process.stop()))
    }
    return {
      title: '`FLUSH_INTERVAL_MS`',
      method: '200 streams × 200 tokens a second, paced, as above; native protocol.',
      columns: ['FLUSH_INTERVAL_MS', 'CPU per token, µs', 'tokens that a read brings'],
      rows: subjects.map(({ milliseconds }) => [
        String(milliseconds),
        spread(cpu.get(milliseconds)),
        spread(together.get(milliseconds)),
      ]),
    }
  },
}
