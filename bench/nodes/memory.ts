import { setTimeout as sleep } from 'node:timers/promises'
import { number } from '../statistics.ts'
import { createStreams, RATE, readStreams, withTrio, type Bed, type Node, type NodesMeasure } from './bed.ts'

const STREAMS = 50

interface Memory {
  /** In a stream so far. */
  tokens: number
  records: number
  logs: number
  inboxes: number
  copies: number
}

/** What streams take in the memory of Redis, and in that of a node that follows them. */
export const memory: NodesMeasure = {
  name: 'memory',
  run: (bed) =>
    withTrio(bed, async ({ owner, follower }) => {
      const { rig } = bed
      const before = await countedMemory(follower)
      const ids = await createStreams(bed, owner, STREAMS, { rate: RATE })
      await readStreams(bed, owner, ids)
      await readStreams(bed, follower, ids)
      await rig.upstream('release')
      await sleep(bed.choose(2000, 500))
      const early = await look(bed, ids, follower)
      await sleep(bed.choose(10_000, 1500))
      const late = await look(bed, ids, follower)
      await rig.finish()
      const perThousand = (what: 'logs' | 'copies') =>
        ((late[what] - early[what]) / STREAMS / (late.tokens - early.tokens)) * 1000
      const atFirst = (what: 'logs' | 'copies') => early[what] / STREAMS - (perThousand(what) * early.tokens) / 1000
      const kb = (bytes: number) => number(bytes / 1000)
      return [
        {
          title: 'Memory, KB',
          method: `${STREAMS} streams of ${RATE} tokens a second, looked at after ${number(early.tokens, 0)} and after ${number(late.tokens, 0)} tokens each. In Redis by MEMORY USAGE, in the gateway by sluice_memory_bytes.`,
          columns: ['', 'for each stream', 'for 1,000 tokens of it'],
          rows: [
            ['in Redis', kb(late.records / STREAMS + atFirst('logs')), kb(perThousand('logs'))],
            [
              'a copy at a node that follows it, without its readers',
              kb(atFirst('copies') - before / STREAMS),
              kb(perThousand('copies')),
            ],
            ['the inboxes of all nodes, by stream', kb(late.inboxes / STREAMS), ''],
          ],
        },
      ]
    }),
}

async function look({ rig, redis }: Bed, ids: readonly string[], follower: Node): Promise<Memory> {
  const { sent } = await rig.upstream('counters')
  const sum = async (keys: Iterable<string>) => {
    let bytes = 0
    for (const key of keys) bytes += await redis.memoryOf(key)
    return bytes
  }
  const keysOf = (...ends: string[]) => ids.flatMap((id) => ends.map((end) => `sluice:{${id}}:${end}`))
  return {
    tokens: sent / STREAMS,
    records: await sum(keysOf('head', 'kept')),
    logs: await sum(keysOf('log')),
    inboxes: await sum(await redis.keys('*:inbox')),
    copies: await countedMemory(follower),
  }
}

async function countedMemory({ port }: Node): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  const counted = metrics.matchAll(/^sluice_memory_bytes\{kind="(?:running|streams)"\} (.*)$/gm)
  return [...counted].reduce((sum, [, value]) => sum + Number(value), 0)
}
