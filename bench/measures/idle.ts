import { setTimeout as sleep } from 'node:timers/promises'
import { startKoa } from '../peers/node-relay.ts'
import type { PinnedProcess } from '../processes.ts'
import { MARK, requestText } from '../request.ts'
import { number, spread } from '../statistics.ts'
import type { Bench, Measure } from './measure.ts'
import { withServer, withSluice } from './with-sluice.ts'

const NEVER_MS = 2 ** 31 - 1

export const idle: Measure = {
  name: 'idle',
  async run(bench) {
    const streams = bench.choose(15_000, 2000)
    const heartbeatMs = bench.choose(15_000, 1000)
    const silent = await hold(bench, { streams, heartbeatMs: NEVER_MS, forMs: heartbeatMs })
    bench.progress(`idle: ${number(silent.rssPerStream / 1024)} KiB of RSS a stream`)
    const beating = await hold(bench, { streams, heartbeatMs, forMs: heartbeatMs })
    bench.progress(`idle, with heartbeats: ${number(beating.cpuShare * 100, 2)} % of a core`)
    const bare = await withServer(
      bench,
      () => startKoa(bench.node),
      (server) => holdOpen(bench, server, { streams, forMs: 1000 }),
    )
    bench.progress(`idle, bare Koa: ${number(bare.rssPerStream / 1024)} KiB of RSS a stream`)
    const rss = [silent, beating].map(({ rssPerStream }) => rssPerStream / 1024)
    const perBeat = ((beating.cpuSeconds - silent.cpuSeconds) * 1e6) / beating.reads
    const period = `${heartbeatMs / 1000} s`
    return {
      title: 'Idle streams and their heartbeats',
      method: `${number(streams, 0)} streams of the mock provider, each silent after its first token, each with one reader. RSS of the process with them, ${period} after the last was opened, less that before them; CPU over those ${period}, with a heartbeat every ${period} and without.`,
      columns: ['', 'Sluice'],
      rows: [
        ['RSS per idle stream, KiB', spread(rss)],
        ['… of a Koa app that does nothing but hold it open', number(bare.rssPerStream / 1024)],
        ['CPU without heartbeats, % of a core', number(silent.cpuShare * 100, 2)],
        ['CPU with heartbeats, % of a core', number(beating.cpuShare * 100, 2)],
        ['CPU per heartbeat, µs', number(perBeat)],
      ],
      targets: [
        {
          what: 'RSS per idle stream, to that of a Koa app that only holds it open',
          value: (Math.max(...rss) * 1024) / bare.rssPerStream,
          limit: 1.7,
          unit: '×',
        },
      ],
    }
  },
}

interface Held {
  rssPerStream: number
  cpuSeconds: number
  cpuShare: number
  /** Heartbeats, since nothing else comes. */
  reads: number
}

function hold(
  bench: Bench,
  { heartbeatMs, ...held }: { streams: number; heartbeatMs: number; forMs: number },
): Promise<Held> {
  const env = { HEARTBEAT_MS: String(heartbeatMs), IDLE_TIMEOUT_MS: String(NEVER_MS), RESUME_WINDOW_MS: '0' }
  return withSluice(bench, { env }, (gateway) => holdOpen(bench, gateway, held))
}

async function holdOpen(
  { rig }: Bench,
  { process, port }: { process: PinnedProcess; port: number },
  { streams, forMs }: { streams: number; forMs: number },
): Promise<Held> {
  const body = {
    messages: [{ role: 'user', content: 'hi' }],
    mock: { text: `${MARK}a ${MARK}b`, interval_ms: 0, stall_at: 1 },
  }
  const requests = [requestText({ port, path: '/v1/chat', body })]
  const open = (count: number) => rig.open({ rate: 1 }, { port, requests, count, atOnce: 200, addresses: 4 })
  // What the code takes that has not run before is not the cost of a stream.
  await open(200)
  await rig.load('reset')
  await sleep(300)
  const before = process.rssBytes()
  await open(streams)
  const { cpuSeconds, seconds, reads } = await rig.sample(process, () => sleep(forMs))
  const rssPerStream = (process.rssBytes() - before) / streams
  return { rssPerStream, cpuSeconds, cpuShare: cpuSeconds / seconds, reads }
}
