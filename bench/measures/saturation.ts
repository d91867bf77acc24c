import { setTimeout as sleep } from 'node:timers/promises'
import { median, number, percent, spread } from '../statistics.ts'
import { Collected, interleave, spare, type Measure, type StartedRelay } from './measure.ts'

const CONNECTIONS = 50

export const saturation: Measure = {
  name: 'saturation',
  comparesRelays: true,
  async run(bench) {
    const { rig } = bench
    const relays = (await bench.relays()).filter(({ relay: { scale = 1 } }) => scale === 1)
    const rates = new Collected()
    const use = new Collected()
    const idle = new Collected()
    const notes = new Set<string>()
    const visit = async ({ relay: { id }, running }: StartedRelay, round: number) => {
      const { port, request } = running
      // Streams have an end, so that what a relay keeps of them stays as small as in real use.
      const pace = { rate: 0, burst: 20, tokens: 1000, gated: true }
      await rig.open(pace, { port, requests: [request], count: CONNECTIONS, total: 1e9 })
      await rig.upstream('release')
      await sleep(bench.choose(700, 600))
      const sample = await rig.sample(running.process, () => sleep(bench.choose(2000, 600)))
      const { complete, sent, received } = await rig.finish()
      if (complete && sent !== received) notes.add(`${id}: tokens were sent that never arrived.`)
      rates.add(sample.tokens / sample.seconds / 1000, id)
      use.add(sample.cpuSeconds / sample.seconds, id)
      idle.add(sample.loadIdle, id)
      bench.progress(`saturation ${round} · ${id}: ${number(sample.tokens / sample.seconds, 0)} chunks a second`)
    }
    await interleave(bench.choose(3, 1), relays, (each, round) => spare(each.relay, notes, () => visit(each, round)))
    return {
      title: 'Chunks a second at saturation',
      method: `${CONNECTIONS} connections, each asking for one stream of 1,000 tokens after the other; the upstream writes 20 chunks at a time, as fast as they are taken. Where the load's core had nothing left, the relay may be capable of more.`,
      columns: ['relay', 'thousand chunks a second', "use of the relay's core", "idle share of the load's core"],
      rows: relays.map(({ relay: { id, title } }) => [
        title,
        spread(rates.get(id), 0),
        percent(median(use.get(id))),
        percent(median(idle.get(id))),
      ]),
      notes: [...notes],
      // A core's time by chunks: what a chunk costs where nothing waits for anything else.
      targets: ['native', 'openai-chat'].flatMap((id) =>
        [
          { to: 'pipe', name: 'the Node pipe', limit: 0.8 },
          { to: 'portkey', name: 'Portkey', limit: 0.25 },
        ].map(({ to, name, limit }) => ({
          what: `${id}, core time a chunk at saturation, to ${name}`,
          value: median(rates.get(to)) / median(rates.get(id)),
          limit,
          unit: '×',
        })),
      ),
    }
  },
}
