import { median, medianRatio, number, percent, spread } from '../statistics.ts'
import { flood, warm } from './flood.ts'
import { Collected, cpuPerToken, interleave, spare, type Measure, type Target } from './measure.ts'

const STREAMS = 200

/** The same 40,000 tokens a second one by one or several in a write, and a load that leaves every relay some air. */
const LOADS = {
  paced: { rate: 200, burst: 1 },
  bursts: { rate: 25, burst: 8 },
  light: { rate: 50, burst: 1 },
}
type Load = keyof typeof LOADS
const loads: readonly Load[] = ['paced', 'bursts', 'light']

export const relay: Measure = {
  name: 'relay',
  comparesRelays: true,
  async run(bench) {
    const relays = await bench.relays()
    // Load by load: what is compared is measured within half a minute.
    const subjects = loads.flatMap((load) => relays.map((each) => ({ ...each, load })))
    const cpu = new Collected()
    const use = new Collected()
    const notes = new Set<string>()
    let lost = 0
    const visit = async ({ relay: each, running, load }: (typeof subjects)[number], round: number) => {
      const { id, scale = 1 } = each
      const { rate, burst } = LOADS[load]
      const result = await flood(bench.rig, running, `${load}, ${id}`, {
        streams: STREAMS * scale,
        rate: rate * scale,
        burst,
        warmMs: bench.choose(700, 300),
        measureMs: bench.choose(2000, 500),
      })
      const cost = cpuPerToken(result)
      cpu.add(cost, id, load)
      use.add(result.cpuSeconds / result.seconds, id, load)
      if (result.lost !== 0) notes.add(describeLoss(id, load, result.lost))
      if (each.ours) lost += result.lost ?? 0
      bench.progress(`${load} ${round} · ${id}: ${number(cost)} µs a chunk`)
    }
    for (const { relay: each, running } of relays)
      if (!each.scale) {
        await spare(each, notes, () => warm(bench.rig, running))
        bench.progress(`warm: ${each.id}`)
      }
    await interleave(bench.choose(3, 2), subjects, (subject, round) =>
      spare(subject.relay, notes, () => visit(subject, round)),
    )
    const frameBytes = Math.round(await bench.rig.upstream('frameBytes'))
    return {
      title: 'CPU per relayed chunk',
      method: `Each relay warmed by a second at full speed. ${STREAMS} streams, chunks of ${frameBytes} bytes with a token each. ${loads.map(describeLoad).join('; ')}. CPU time of the relay (user and system, all threads and children) by the tokens that reached their readers meanwhile, in µs, and the share of its core that it used. A core that is full makes every relay cheaper by the chunk, since more of them arrive together: two relays with a full core do not differ in cost, only in how far behind they are.`,
      columns: ['relay', ...loads.flatMap((load) => [`${load}, µs`, 'core'])],
      rows: relays.map(({ relay: { id, title, scale = 1 } }) => [
        scale === 1 ? title : `${title}, at ${percent(scale ** 2)} of the load`,
        ...loads.flatMap((load) => [spread(cpu.get(id, load)), percent(median(use.get(id, load)))]),
      ]),
      notes: [...notes],
      targets: [...ratios(cpu), { what: 'tokens lost', value: lost, limit: 0 }],
    }
  },
}

function describeLoad(load: Load): string {
  const { rate, burst } = LOADS[load]
  if (burst === 1) return `${load}: ${rate} a second on each, a chunk in a write, the phases of the streams spread`
  return `${load}: ${rate * burst} a second on each, ${burst} in a write, each of them a chunk of HTTP of its own`
}

function ratios(cpu: Collected): Target[] {
  const ratio = (id: string, load: Load, to: string) => medianRatio(cpu.get(id, load), cpu.get(to, load))
  return ['native', 'openai-chat'].flatMap((id) => [
    // Both may have a full core when paced, and then cost the same; light tells them apart.
    { what: `${id}, paced, to the Node pipe`, value: ratio(id, 'paced', 'pipe'), limit: 1, unit: '×' },
    { what: `${id}, light, to the Node pipe`, value: ratio(id, 'light', 'pipe'), limit: 1, unit: '×' },
    { what: `${id}, bursts, to the Node pipe`, value: ratio(id, 'bursts', 'pipe'), limit: 0.8, unit: '×' },
    // nginx is out of reach of Node: the floor costs twice as much. Portkey's core is full, and so its cost capped;
    // its target is at saturation.
    { what: `${id}, bursts, to the floor`, value: ratio(id, 'bursts', 'raw'), unit: '×' },
    { what: `${id}, bursts, to nginx`, value: ratio(id, 'bursts', 'nginx'), unit: '×' },
    { what: `${id}, bursts, to Portkey`, value: ratio(id, 'bursts', 'portkey'), unit: '×' },
  ])
}

function describeLoss(id: string, load: Load, lost: number | undefined): string {
  if (lost === undefined) return `${id}, ${load}: was still behind 4 s after the last token was sent, and was cut off.`
  return `${id}, ${load}: tokens were sent that never arrived.`
}
