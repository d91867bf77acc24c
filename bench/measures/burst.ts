import { median, medianRatio, number, quantile, spread } from '../statistics.ts'
import { Collected, interleave, spare, type Measure, type StartedRelay } from './measure.ts'
import { OUR_IDS, scaledTitle } from './openers.ts'
import { runStreams, warmOpening } from './run-streams.ts'

const STREAMS = 200
const RATE = 50
const TOKENS = 25

export const burst: Measure = {
  name: 'burst',
  comparesRelays: true,
  async run(bench) {
    const { rig } = bench
    const relays = await bench.openers()
    const bursts = bench.choose(3, 2)
    const p50 = new Collected()
    const p99 = new Collected()
    const notes = new Set<string>()
    const visit = async ({ relay: { id, scale = 1 }, running }: StartedRelay, round: number) => {
      await warmOpening(rig, running, scale)
      const streams = STREAMS * scale
      const times: number[] = []
      for (let i = 0; i < bursts; i++) {
        const run = { pace: { rate: RATE, tokens: TOKENS }, parallel: streams, total: streams, fresh: true }
        const { result } = await rig.quietRun(running.process, () => runStreams(rig, running, run))
        times.push(...result.firstTokens)
      }
      p50.add(median(times), id)
      p99.add(quantile(times, 0.99), id)
      bench.progress(`burst of opens ${round} · ${id}: ${number(median(times))} ms`)
    }
    await interleave(bench.choose(3, 1), relays, (each, round) => spare(each.relay, notes, () => visit(each, round)))
    return {
      title: 'Many opens at once',
      method: `${STREAMS} streams of ${RATE} tokens a second, opened in the same moment, each on a new connection; ${bursts} such bursts in a round. From connecting to the first byte of the first token.`,
      columns: ['relay', 'p50, ms', 'p99, ms'],
      rows: relays.map(({ relay }) => [scaledTitle(relay), spread(p50.get(relay.id)), spread(p99.get(relay.id))]),
      notes: [...notes],
      targets: OUR_IDS.map((id) => ({
        what: `${id}, time to the first token of ${STREAMS} opens at once, p50, to the Node pipe`,
        value: medianRatio(p50.get(id), p50.get('pipe')),
        limit: 1.2,
        unit: '×',
      })),
    }
  },
}
