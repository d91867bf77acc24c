import { setTimeout as sleep } from 'node:timers/promises'
import { median, number, quantile, spread } from '../statistics.ts'
import { Collected, interleave, type Measure } from './measure.ts'

const RATE = 50
/** Streams at a time, and tokens in each: with one stream, short ones soon after another, so that there are many. */
const LEVELS = [
  { streams: 1, tokens: 2, pauseMs: 10, forMs: 2000 },
  { streams: 50, tokens: 50, pauseMs: 100, forMs: 2000 },
  // Long enough for several full collections: of a shorter time, the tail is that of whether there was one.
  { streams: 200, tokens: 50, pauseMs: 100, forMs: 8000 },
]
/** Streams that each relay opens before: the first hundreds run code that is not compiled yet, in whatever relay. */
const WARM_UP = 2000
const QUICK_LEVELS = [{ streams: 50, tokens: 25, pauseMs: 100, forMs: 700 }]

export const latency: Measure = {
  name: 'latency',
  comparesRelays: true,
  async run(bench) {
    const { rig } = bench
    const relays = (await bench.relays()).filter(({ relay: { scale = 1 } }) => scale === 1)
    const direct = {
      id: 'direct',
      title: 'none: readers ask the upstream',
      sleepMs: 0,
      port: rig.upstreamPort,
      request: relays[0]!.running.request,
    }
    const subjects = [
      direct,
      ...relays.map(({ relay: { id, title, sleepMs = 0 }, running: { port, request } }) => ({
        id,
        title,
        sleepMs,
        port,
        request,
      })),
    ]
    const levels = bench.choose(LEVELS, QUICK_LEVELS)
    const medians = new Collected()
    const all = new Collected()
    const jitter = new Collected()
    for (const { id, port, request } of subjects) {
      await rig.open({ rate: 1000, tokens: 2 }, { port, requests: [request], count: 16, total: WARM_UP })
      await rig.load('untilEnded', 20_000)
      await rig.finish()
      bench.progress(`warm: ${id}`)
    }
    for (const { streams, tokens, pauseMs, forMs } of levels)
      await interleave(bench.choose(2, 1), subjects, async ({ id, port, request }, round) => {
        const streamMs = (1000 * tokens) / RATE
        await rig.open(
          { rate: RATE, tokens },
          {
            port,
            requests: [request],
            count: streams,
            total: 1e9,
            // Spread over the length of a stream, as they come in real life: those who started together would end
            // together, and ask for the next one together.
            apartMs: streamMs / streams,
            pauseMs,
            intervalMs: 1000 / RATE,
          },
        )
        await rig.load('forget')
        await sleep(forMs)
        const times = await rig.load('firstTokens')
        const [, late = NaN] = await rig.load('jitter')
        await rig.finish()
        medians.add(median(times), id, streams)
        for (const time of times) all.add(time, id, streams)
        if (streams > 1) jitter.add(late, id, streams)
        bench.progress(`first token, ${streams} streams, ${round} · ${id}: ${number(median(times), 2)} ms`)
      })

    // Against the direct way in the same round; the tail against the direct way's tail, over all rounds.
    const added = (id: string, streams: number) =>
      medians.get(id, streams).map((value, round) => value - (medians.get('direct', streams)[round] ?? NaN))
    const addedTail = (id: string, streams: number) =>
      quantile(all.get(id, streams), 0.99) - quantile(all.get('direct', streams), 0.99)
    const row = ({ id, title, sleepMs }: (typeof subjects)[number]) => [
      title,
      ...levels.flatMap(({ streams }) =>
        id === 'direct'
          ? [`${spread(medians.get(id, streams), 2)} in all`, `${number(quantile(all.get(id, streams), 0.99))} in all`]
          : [withSleep(spread(added(id, streams), 2), sleepMs), number(addedTail(id, streams))],
      ),
      ...levels.filter(({ streams }) => streams > 1).map(({ streams }) => spread(jitter.get(id, streams))),
    ]
    return {
      title: 'Added time to the first token, and jitter',
      method: `Streams of ${RATE} tokens a second, that many at a time, each reader asking for the next one after up to 100 ms (10 when there is only one), their starts spread evenly; kept-alive connections. The upstream sends its first token at once; each relay has opened ${number(WARM_UP, 0)} streams before. From the request to the first byte of the first token, less the same without a relay; median of the rounds, p99 over all of them. Jitter: by how much the time between two tokens differs from ${1000 / RATE} ms.`,
      columns: [
        'relay',
        ...levels.flatMap(({ streams }) => [`p50 at ${streams}, ms`, 'p99']),
        ...levels.filter(({ streams }) => streams > 1).map(({ streams }) => `jitter p99 at ${streams}, ms`),
      ],
      rows: subjects.map(row),
      targets: ['native', 'openai-chat'].flatMap((id) => {
        const what = `${id}, added time to the first token at 50 streams, p50`
        const value = median(added(id, 50))
        return [
          { what, value, unit: 'ms' },
          // Milliseconds are the machine's, and differ by half from one hour to the next.
          { what: `${what}, to the floor's`, value: value / median(added('raw', 50)), limit: 3, unit: '×' },
        ]
      }),
    }
  },
}

function withSleep(text: string, sleepMs: number): string {
  return sleepMs > 0 ? `${text}, of which ${sleepMs} asleep` : text
}
