import { setTimeout as sleep } from 'node:timers/promises'
import { nodePipe } from '../peers/node-relay.ts'
import type { Subject } from '../peers/relay.ts'
import { chatRequest } from '../peers/sluice.ts'
import { fileLimit } from '../processes.ts'
import { median, medianRatio, number, spread } from '../statistics.ts'
import { Collected, cpuPerToken, interleave, type Measure, type Target } from './measure.ts'
import { withServer, withSluice } from './with-sluice.ts'

export const streamLength: Measure = {
  name: 'length',
  async run(bench) {
    const { rig } = bench
    const lengths = [1000, 10_000, 100_000]
    const total = bench.choose(400_000, 200_000)
    const cpu = new Collected()
    await withSluice(bench, {}, async ({ process, port }) => {
      const measure = async (tokens: number, inAll: number) => {
        await rig.load('reset')
        await rig.upstream('configure', { rate: 0, burst: 20, tokens })
        const options = { port, requests: [chatRequest(port)], count: 2, total: inAll / tokens }
        const sample = await rig.sample(process, async () => {
          await rig.load('open', options)
          await rig.load('untilEnded', 60_000)
        })
        if (sample.tokens !== inAll) throw new Error(`${sample.tokens} of ${inAll} tokens arrived.`)
        return cpuPerToken(sample)
      }
      await measure(1000, 100_000)
      await interleave(bench.choose(3, 1), lengths, async (tokens, round) => {
        const cost = await measure(tokens, total)
        cpu.add(cost, tokens)
        bench.progress(`length ${round} · ${tokens} tokens: ${number(cost, 2)} µs a token`)
      })
    })
    return {
      title: 'Cost and the length of a stream',
      method: `${number(total, 0)} tokens in streams of one length, two at a time, at full speed, 20 chunks in a write; native protocol. CPU by token, with the cost of opening the streams.`,
      columns: ['tokens in a stream', 'CPU per token, µs'],
      rows: lengths.map((tokens) => [number(tokens, 0), spread(cpu.get(tokens), 2)]),
      targets: [flat(cpu, lengths, 'tokens in a stream')],
    }
  },
}

/** Tokens a second, over all streams. */
const TOTAL_RATE = 10_000

export const streamCount: Measure = {
  name: 'streams',
  async run(bench) {
    const { rig } = bench
    // A relayed stream holds two files of the gateway.
    const most = Math.min(bench.choose(10_000, 1000), Math.floor((fileLimit() - 200) / 2))
    const counts = bench.choose([10, 100, 1000, most], [10, most])
    const cpu = new Collected()
    const visit = async ({ process, port, request }: Subject, id: string, count: number, round: number) => {
      await rig.open(
        { rate: TOTAL_RATE / count, gated: true },
        { port, requests: [request], count, atOnce: 100, addresses: 2 },
      )
      await rig.upstream('release')
      // Until the garbage of opening so many has been collected: it belongs to their opening, not to their tokens.
      await sleep(bench.choose(1000, 500) + count / 2)
      const sample = await rig.steadySample(process, bench.choose(2000, 1000), 'streams')
      const { complete, sent, received, started, begun } = await rig.finish(10_000)
      if (!complete || sent !== received)
        throw new Error(
          `${received} of ${sent} tokens arrived${complete ? '' : ' in time'}, ${begun} streams became ${started}.`,
        )
      const cost = cpuPerToken(sample)
      cpu.add(cost, id, count)
      bench.progress(`streams ${round} · ${count}, ${id}: ${number(cost, 2)} µs a token`)
    }
    await withSluice(bench, {}, (gateway) =>
      withServer(
        bench,
        () => nodePipe.start({ upstreamPort: rig.upstreamPort, node: bench.node }),
        (pipe) =>
          interleave(bench.choose(2, 1), counts, async (count, round) => {
            await visit({ ...gateway, request: chatRequest(gateway.port) }, 'native', count, round)
            await visit(pipe, 'pipe', count, round)
          }),
      ),
    )
    const growth = (id: string) => median(cpu.get(id, most)) / median(cpu.get(id, 10))
    return {
      title: 'Cost and the number of streams',
      method: `${number(TOTAL_RATE, 0)} tokens a second in all, dealt out to so many streams. CPU by token, in µs. A relayed stream holds two files: the limit on open files here is ${number(fileLimit(), 0)}. The more streams there are, the fewer tokens come together and the less of a stream is still in the caches when its next token comes, in whatever relay.`,
      columns: ['streams', 'Sluice, native', 'Node `http`, piped byte for byte'],
      rows: counts.map((count) => [
        number(count, 0),
        spread(cpu.get('native', count), 2),
        spread(cpu.get('pipe', count), 2),
      ]),
      targets: [
        {
          what: `native, cost per token with ${number(most, 0)} streams, to the Node pipe`,
          value: medianRatio(cpu.get('native', most), cpu.get('pipe', most)),
          limit: 1.1,
          unit: '×',
        },
        {
          // A ratio of ratios, and the worse the less the first streams cost: for comparison.
          what: `growth of the cost per token from 10 to ${number(most, 0)} streams, to that of the Node pipe`,
          value: growth('native') / growth('pipe'),
          unit: '×',
        },
      ],
    }
  },
}

/** Linear growth in all is a flat cost of each. */
function flat(cpu: Collected, scale: readonly number[], unit: string): Target {
  const [least, most] = [scale[0]!, scale.at(-1)!]
  return {
    what: `cost per token with ${number(most, 0)} ${unit} to that with ${number(least, 0)}`,
    value: median(cpu.get(most)) / median(cpu.get(least)),
    limit: 1.3,
    unit: '×',
  }
}
