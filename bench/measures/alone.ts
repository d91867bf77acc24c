import type { Running } from '../peers/relay.ts'
import type { PinnedProcess } from '../processes.ts'
import { median, medianRatio, number, quantile, spread } from '../statistics.ts'
import { Collected, spare, type Measure, type StartedRelay } from './measure.ts'
import { OUR_IDS } from './openers.ts'
import { runStreams, warmOpening } from './run-streams.ts'

const TOKENS = 10
const INTERVAL_MS = 5

export const alone: Measure = {
  name: 'alone',
  comparesRelays: true,
  async run(bench) {
    const { rig } = bench
    const relays = await bench.openers()
    const total = bench.choose(150, 60)
    const p50 = new Collected()
    const p99 = new Collected()
    const notes = new Set<string>()
    const measure = async (
      id: string,
      round: number,
      subject: Pick<Running, 'port' | 'request'>,
      process?: PinnedProcess,
    ) => {
      const run = { pace: { rate: 1000 / INTERVAL_MS, tokens: TOKENS }, parallel: 1, total, fresh: true }
      const { result } = await rig.quietRun(process, () => runStreams(rig, subject, run))
      p50.add(median(result.firstTokens), id)
      p99.add(quantile(result.firstTokens, 0.99), id)
      bench.progress(`first token alone ${round} · ${id}: ${number(median(result.firstTokens), 2)} ms`)
    }
    const visit = async ({ relay: { id, scale }, running }: StartedRelay, round: number) => {
      await warmOpening(rig, running, scale)
      await measure(id, round, running, running.process)
    }
    const { request } = relays[0]!.running
    for (let round = 1; round <= bench.choose(3, 1); round++) {
      await measure('direct', round, { port: rig.upstreamPort, request })
      for (const each of relays) await spare(each.relay, notes, () => visit(each, round))
    }
    const rows = [{ id: 'direct', title: 'none: readers ask the upstream' }, ...relays.map(({ relay }) => relay)]
    return {
      title: 'A first token alone',
      method: `One stream at a time, ${total} of them, each of ${TOKENS} tokens, ${INTERVAL_MS} ms apart, on a new connection; the upstream sends its first token at once. From connecting to the first byte of the first token.`,
      columns: ['relay', 'p50, ms', 'p99, ms'],
      rows: rows.map(({ id, title }) => [title, spread(p50.get(id), 2), spread(p99.get(id), 2)]),
      notes: [...notes],
      targets: OUR_IDS.flatMap((id) => [
        {
          what: `${id}, time to a first token alone, p50, to the Node pipe`,
          value: medianRatio(p50.get(id), p50.get('pipe')),
          limit: 1.15,
          unit: '×',
        },
        {
          what: `${id}, time to a first token alone, p99, to its own p50`,
          value: medianRatio(p99.get(id), p50.get(id)),
          limit: 2,
          unit: '×',
        },
      ]),
    }
  },
}
