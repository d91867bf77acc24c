import { setTimeout as sleep } from 'node:timers/promises'
import { Collected, interleave } from '../measures/measure.ts'
import { startSluice } from '../peers/sluice.ts'
import { ALL_CORES } from '../processes.ts'
import { MARK, requestText } from '../request.ts'
import { median, number, spread } from '../statistics.ts'
import type { Bed, Node, NodesMeasure } from './bed.ts'

const CONNECTIONS = 64
/** Each a word of its own for the mock, with the mark that the load counts. */
const TOKENS = 500

interface Subject extends Node {
  workers: number
  store: 'no' | 'yes'
}

/** What one machine writes at most. */
export const throughput: NodesMeasure = {
  name: 'throughput',
  async run(bed) {
    const collected = new Collected()
    const subjects: Subject[] = []
    for (const store of ['no', 'yes'] as const)
      for (const workers of [1, 2]) subjects.push({ workers, store, ...(await start(bed, workers, store)) })
    await interleave(bed.choose(6, 2), subjects, async ({ workers, store, port, process }, round) => {
      const { rate, cpu } = await measure(bed, port, process)
      bed.progress(`throughput ${round}, ${workers} workers, Redis ${store}: ${number(rate, 0)} tokens a second`)
      // The first round warms up.
      if (round === 1) return
      collected.add(rate / 1000, workers, store, 'rate')
      collected.add(cpu, workers, store, 'cpu')
    })
    for (const { process } of subjects) await process.stop()
    await bed.redis.flush()
    return [
      {
        title: 'Tokens a second at full speed',
        method: `${CONNECTIONS} connections, each asking the mock for one stream of ${TOKENS} tokens after the other, without a pause between tokens. Workers, Redis and the readers share two cores, so that two workers have less than two cores: a lower bound.`,
        columns: ['WORKERS', 'Redis', 'thousand tokens a second', 'CPU, µs a token', 'to one worker'],
        rows: subjects.map(({ workers, store }) => {
          const rates = collected.get(workers, store, 'rate')
          const ones = collected.get(1, store, 'rate')
          return [
            String(workers),
            store,
            spread(rates, 0),
            number(median(collected.get(workers, store, 'cpu')), 2),
            `${number(median(rates.map((rate, i) => rate / (ones[i] ?? NaN))), 2)} ×`,
          ]
        }),
      },
    ]
  },
}

function start({ rig, redis }: Bed, workers: number, store: Subject['store']): Promise<Node> {
  const env = {
    WORKERS: String(workers),
    REDIS_URL: store === 'yes' ? redis.url : '',
    // Gateways that share nothing but the server.
    REDIS_PREFIX: `bench-${workers}:`,
    RETENTION_MS: '1000',
    MAX_EVENT_LOOP_DELAY_MS: '0',
  }
  return startSluice(rig.upstreamPort, { env, core: ALL_CORES })
}

async function measure(
  { rig, choose }: Bed,
  port: number,
  process: Node['process'],
): Promise<{ rate: number; cpu: number }> {
  const mock = { text: `${MARK}word `.repeat(TOKENS), interval_ms: 0 }
  const body = { model: 'mock', messages: [{ role: 'user', content: 'Tell me about the river.' }], mock }
  await rig.load('reset')
  await rig.load('open', {
    port,
    requests: [requestText({ port, path: '/v1/chat', body })],
    count: CONNECTIONS,
    total: 1e9,
  })
  await sleep(choose(1000, 500))
  const before = await look()
  await sleep(choose(4000, 1000))
  const after = await look()
  await rig.load('stopAsking')
  await rig.load('untilEnded', 20_000)
  const { failures, firstFailure } = await rig.load('counters')
  if (failures > 0) throw new Error(`${failures} readers failed, the first with: ${firstFailure}`)
  await rig.load('reset')
  const tokens = after.tokens - before.tokens
  return { rate: tokens / ((after.at - before.at) / 1000), cpu: ((after.cpu - before.cpu) * 1e6) / tokens }

  async function look() {
    const { tokens: count } = await rig.load('counters')
    return { tokens: count, at: performance.now(), cpu: process.cpuSeconds() }
  }
}
