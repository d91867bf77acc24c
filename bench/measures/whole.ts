import type { Sample } from '../rig.ts'
import { median, medianRatio, number, quantile, spread } from '../statistics.ts'
import { Collected, interleave, spare, type Measure, type StartedRelay } from './measure.ts'
import { LOAD_SHARES, loadShares, OUR_IDS, scaledTitle } from './openers.ts'
import { runStreams } from './run-streams.ts'

const PARALLEL = 50
const TOKENS = 20
/** Requests that each relay answers before. */
const WARM_UP = 2000

export const whole: Measure = {
  name: 'whole',
  comparesRelays: true,
  async run(bench) {
    const { rig } = bench
    const relays = await bench.openers()
    const total = bench.choose(5000, 2000)
    const seconds = bench.choose(3, 1)
    // Should a gateway ask for a stream to answer with a whole, it gets one as fast as it reads.
    const pace = { rate: 0, burst: TOKENS, tokens: TOKENS }
    const rates = new Collected()
    const cpu = new Collected()
    const samples = new Collected<Sample>()
    const p50 = new Collected()
    const p99 = new Collected()
    const notes = new Set<string>()
    const visit = async ({ relay: { id, scale = 1 }, running }: StartedRelay, round: number) => {
      const subject = { port: running.port, request: running.wholeRequest }
      const parallel = PARALLEL * scale
      if (round === 1) await runStreams(rig, subject, { pace, parallel, total: WARM_UP * scale })
      const { sample, result } = await rig.quietRun(running.process, () =>
        runStreams(rig, subject, { pace, parallel, total: total * scale }),
      )
      const rate = (total * scale) / result.seconds
      rates.add(rate, id)
      cpu.add((sample.cpuSeconds * 1e6) / (total * scale), id)
      samples.add(sample, id)
      const half = { pace, parallel, total: Math.round((rate / 2) * seconds), rate: rate / 2 }
      const { durations } = (await rig.quietRun(running.process, () => runStreams(rig, subject, half))).result
      p50.add(median(durations), id)
      p99.add(quantile(durations, 0.99), id)
      bench.progress(`whole ${round} · ${id}: ${number(rate, 0)} requests a second`)
    }
    await interleave(bench.choose(3, 1), relays, (each, round) => spare(each.relay, notes, () => visit(each, round)))
    return {
      title: 'Whole requests',
      method: `Chats that are not streamed, with ${TOKENS} tokens in the answer, on kept-alive connections. First ${number(total, 0)} of them, ${PARALLEL} at a time; then, for ${seconds} s, half as many a second as these were, evenly spread: from when a request was due to the end of its answer. Each relay has answered ${number(WARM_UP, 0)} before. Where the load's core had nothing left, the relay may be capable of more.`,
      columns: ['relay', 'requests a second', 'CPU per request, µs', LOAD_SHARES, 'p50 at half of it, ms', 'p99'],
      rows: relays.map(({ relay }) => [
        scaledTitle(relay),
        spread(rates.get(relay.id), 0),
        spread(cpu.get(relay.id), 0),
        loadShares(samples.get(relay.id)),
        spread(p50.get(relay.id), 2),
        spread(p99.get(relay.id), 2),
      ]),
      notes: [...notes],
      targets: OUR_IDS.flatMap((id) => [
        {
          what: `${id}, whole requests a second, to the Node pipe`,
          value: medianRatio(rates.get(id), rates.get('pipe')),
          atLeast: 0.8,
          unit: '×',
        },
        {
          what: `${id}, whole requests at half load, p99, to its own p50`,
          value: medianRatio(p99.get(id), p50.get(id)),
          limit: 2,
          unit: '×',
        },
      ]),
    }
  },
}
