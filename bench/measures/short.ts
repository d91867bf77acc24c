import type { Sample } from '../rig.ts'
import { median, medianRatio, number, percent, spread } from '../statistics.ts'
import { Collected, interleave, spare, type Measure, type StartedRelay } from './measure.ts'
import { LOAD_SHARES, loadShares, OUR_IDS, scaledTitle } from './openers.ts'
import { runStreams, SHORT, warmOpening } from './run-streams.ts'

const PARALLEL = 50

export const short: Measure = {
  name: 'short',
  comparesRelays: true,
  async run(bench) {
    const { rig } = bench
    const relays = await bench.openers()
    const total = bench.choose(3000, 1500)
    const cpu = new Collected()
    const rates = new Collected()
    const use = new Collected()
    const samples = new Collected<Sample>()
    const notes = new Set<string>()
    const visit = async ({ relay: { id, scale = 1 }, running }: StartedRelay, round: number) => {
      await warmOpening(rig, running, scale)
      const streams = total * scale
      const { sample, result } = await rig.quietRun(running.process, () =>
        runStreams(rig, running, { ...SHORT, parallel: PARALLEL * scale, total: streams }),
      )
      const { seconds } = result
      const cost = (sample.cpuSeconds * 1e6) / streams
      cpu.add(cost, id)
      rates.add(streams / seconds, id)
      use.add(sample.cpuSeconds / seconds, id)
      samples.add(sample, id)
      bench.progress(`short ${round} · ${id}: ${number(cost, 0)} µs a stream, ${number(streams / seconds, 0)} a second`)
    }
    await interleave(bench.choose(3, 1), relays, (each, round) => spare(each.relay, notes, () => visit(each, round)))
    return {
      title: 'Short streams',
      method: `${PARALLEL} at a time, ${number(total, 0)} in all, each of 20 tokens on a new connection; the upstream writes as fast as the relay reads. Each relay has opened 2,000 of them before. Where the load's core had nothing left, the relay may be capable of more streams a second, and what it does is spread over more turns of its event loop, so that a stream costs it more.`,
      columns: ['relay', 'CPU per stream, µs', 'streams a second', "use of the relay's core", LOAD_SHARES],
      rows: relays.map(({ relay }) => [
        scaledTitle(relay),
        spread(cpu.get(relay.id), 0),
        spread(rates.get(relay.id), 0),
        percent(median(use.get(relay.id))),
        loadShares(samples.get(relay.id)),
      ]),
      notes: [...notes],
      targets: OUR_IDS.flatMap((id) => [
        {
          what: `${id}, CPU of a short stream, to the Node pipe`,
          value: medianRatio(cpu.get(id), cpu.get('pipe')),
          limit: 1.2,
          unit: '×',
        },
        {
          what: `${id}, CPU of a short stream, to GoModel`,
          value: medianRatio(cpu.get(id), cpu.get('gomodel')),
          limit: 1,
          unit: '×',
        },
      ]),
    }
  },
}
