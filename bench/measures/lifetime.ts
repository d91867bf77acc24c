import type { Sample } from '../rig.ts'
import { medianRatio, number, spread } from '../statistics.ts'
import { Collected, interleave, spare, type Measure } from './measure.ts'
import { LOAD_SHARES, loadShares, OUR_IDS, scaledTitle } from './openers.ts'
import { runStreams, warmOpening } from './run-streams.ts'

const LOADS = [
  {
    name: 'light',
    text: '200 streams of 50 tokens a second at a time, 100 tokens in each',
    pace: { rate: 50, tokens: 100 },
    parallel: 200,
    total: { full: 400, quick: 200 },
    limit: 0.9,
  },
  {
    name: 'saturated',
    text: '50 streams at a time, 500 tokens in each, as fast as the relay reads',
    pace: { rate: 0, burst: 20, tokens: 500 },
    parallel: 50,
    total: { full: 600, quick: 400 },
    limit: 0.8,
  },
]

export const lifetime: Measure = {
  name: 'lifetime',
  comparesRelays: true,
  async run(bench) {
    const { rig } = bench
    const relays = await bench.openers()
    const subjects = LOADS.flatMap((load) => relays.map((each) => ({ ...each, load })))
    const cpu = new Collected()
    const samples = new Collected<Sample>()
    const notes = new Set<string>()
    const visit = async ({ relay: { id, scale = 1 }, running, load }: (typeof subjects)[number], round: number) => {
      await warmOpening(rig, running, scale)
      const { pace } = load
      const [parallel, total] = [load.parallel, bench.choose(load.total.full, load.total.quick)].map((n) => n * scale)
      const { sample } = await rig.quietRun(running.process, () =>
        runStreams(rig, running, { pace, parallel: parallel!, total: total!, fresh: true }),
      )
      const cost = (sample.cpuSeconds * 1e6) / (total! * pace.tokens)
      cpu.add(cost, id, load.name)
      samples.add(sample, id, load.name)
      bench.progress(`${load.name}, with opening, ${round} · ${id}: ${number(cost)} µs a token`)
    }
    await interleave(bench.choose(3, 1), subjects, (subject, round) =>
      spare(subject.relay, notes, () => visit(subject, round)),
    )
    return {
      title: 'CPU per token, opening included',
      method: `${LOADS.map(({ name, text }) => `${name}: ${text}`).join('; ')}; each on a new connection. CPU time of the relay from the first opening to the last end, by all tokens, in µs.`,
      columns: ['relay', ...LOADS.flatMap(({ name }) => [`${name}, µs`, LOAD_SHARES])],
      rows: relays.map(({ relay }) => [
        scaledTitle(relay),
        ...LOADS.flatMap(({ name }) => [spread(cpu.get(relay.id, name)), loadShares(samples.get(relay.id, name))]),
      ]),
      notes: [...notes],
      targets: OUR_IDS.flatMap((id) =>
        LOADS.map(({ name, limit }) => ({
          what: `${id}, ${name}, CPU of a token with its share of opening, to the Node pipe`,
          value: medianRatio(cpu.get(id, name), cpu.get('pipe', name)),
          limit,
          unit: '×',
        })),
      ),
    }
  },
}
