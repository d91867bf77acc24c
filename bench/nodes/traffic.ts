import { setTimeout as sleep } from 'node:timers/promises'
import { Collected, interleave, type Section } from '../measures/measure.ts'
import { median, number, spread } from '../statistics.ts'
import { createStreams, RATE, readStreams, withTrio, type Bed, type Node, type NodesMeasure, type Trio } from './bed.ts'
import type { RedisReading } from './redis.ts'

const LEVELS = [1, 50, 200]

interface Case {
  name: 'alone' | 'nobody follows' | 'followed'
  owner: Node
  follower?: Node
}

/** What happened in a second, or for 1,000 tokens. */
interface Cost extends RedisReading {
  ownerSeconds: number
  followerSeconds: number
}

const COSTS = ['calls', 'bytesIn', 'bytesOut', 'cpuSeconds', 'ownerSeconds', 'followerSeconds'] as const

/** What streams cost Redis and the gateways, and what nodes cost that do nothing. */
export const traffic: NodesMeasure = {
  name: 'traffic',
  run: (bed) =>
    withTrio(bed, async (trio) => {
      const { alone, owner, follower } = trio
      const cases: Case[] = [
        { name: 'alone', owner: alone },
        { name: 'nobody follows', owner },
        { name: 'followed', owner, follower },
      ]
      const idle = await measureIdle(bed, trio)
      const costs = new Collected()
      let connections = 0
      const levels = bed.choose(LEVELS, [1, 50])
      for (const streams of levels)
        // The first round warms up.
        await interleave(bed.choose(6, 2), cases, async (each, round) => {
          const { cost, open } = await measure(bed, each, streams, idle[each.name])
          if (each.follower) connections = open
          bed.progress(
            `${streams} streams, ${each.name}, ${round}: ${number(cost.calls, 0)} calls, ${number(cost.cpuSeconds * 1000)} ms of Redis for 1,000 tokens`,
          )
          if (round > 1) for (const what of COSTS) costs.add(cost[what], streams, each.name, what)
        })
      return [redisTable(levels, costs), cpuTable(levels, costs), idleTable(idle.followed, connections)]
    }),
}

/** Less what idle nodes do, by the same name. */
async function measure(
  bed: Bed,
  { owner, follower }: Case,
  streams: number,
  idle: Cost,
): Promise<{ cost: Cost; open: number }> {
  const { rig, redis } = bed
  const ids = await createStreams(bed, owner, streams, { rate: RATE })
  await readStreams(bed, owner, ids)
  if (follower) await readStreams(bed, follower, ids)
  await rig.upstream('release')
  await sleep(500)
  const before = (await rig.upstream('counters')).sent
  // One stream brings few tokens.
  const period = await measurePeriod(bed, owner, follower, bed.choose(3000, 1000) * (streams === 1 ? 3 : 1))
  const tokens = (await rig.upstream('counters')).sent - before
  const open = await redis.connections()
  const { complete, sent, received } = await rig.finish(10_000)
  if (!complete || received !== sent * (follower ? 2 : 1))
    throw new Error(`${sent} tokens were sent, and ${received} arrived.`)
  const cost = map((what) => ((period.cost[what] - idle[what] * period.seconds) / tokens) * 1000)
  return { cost, open }
}

async function measurePeriod(
  { redis }: Bed,
  owner: Node,
  follower: Node | undefined,
  milliseconds: number,
): Promise<{ cost: Cost; seconds: number }> {
  const cpu = () => [owner.process.cpuSeconds(), follower?.process.cpuSeconds() ?? 0] as const
  let [ownerSeconds, followerSeconds, seconds] = [0, 0, 0]
  const did = await redis.during(async () => {
    const start = performance.now()
    const before = cpu()
    await sleep(milliseconds)
    const after = cpu()
    seconds = (performance.now() - start) / 1000
    ownerSeconds = after[0] - before[0]
    followerSeconds = after[1] - before[1]
  })
  return { cost: { ...did, ownerSeconds, followerSeconds }, seconds }
}

/** A second of nodes without a stream, by the case in which it is to be taken out. Redis always has both nodes. */
async function measureIdle(bed: Bed, { alone, owner, follower }: Trio): Promise<Record<Case['name'], Cost>> {
  // Until the streams that warmed up have expired.
  await sleep(bed.choose(12_000, 1000))
  const second = async (node: Node, other?: Node) => {
    const { cost, seconds } = await measurePeriod(bed, node, other, bed.choose(10_000, 2000))
    return map((what) => cost[what] / seconds)
  }
  const nodes = await second(owner, follower)
  return { alone: await second(alone), 'nobody follows': nodes, followed: nodes }
}

function map(value: (what: keyof Cost) => number): Cost {
  return {
    calls: value('calls'),
    bytesIn: value('bytesIn'),
    bytesOut: value('bytesOut'),
    cpuSeconds: value('cpuSeconds'),
    ownerSeconds: value('ownerSeconds'),
    followerSeconds: value('followerSeconds'),
  }
}

function redisTable(levels: readonly number[], costs: Collected): Section {
  const cell = (streams: number, name: string, what: keyof Cost, factor: number, digits: number) =>
    spread(
      costs.get(streams, name, what).map((value) => value * factor),
      digits,
    )
  return {
    title: 'Redis, for 1,000 tokens',
    method: `Streams of ${RATE} tokens a second, each with a reader at the node where it runs and, where it is followed, another at a second node. Less what idle nodes do.`,
    columns: ['streams', 'followers', 'commands', 'KB in', 'KB out', 'CPU, ms'],
    rows: levels.flatMap((streams) =>
      (['nobody follows', 'followed'] as const).map((name) => [
        String(streams),
        name === 'followed' ? '1' : '0',
        cell(streams, name, 'calls', 1, 0),
        cell(streams, name, 'bytesIn', 1e-3, 0),
        cell(streams, name, 'bytesOut', 1e-3, 0),
        cell(streams, name, 'cpuSeconds', 1e3, 1),
      ]),
    ),
  }
}

function cpuTable(levels: readonly number[], costs: Collected): Section {
  const perToken = (streams: number, name: string, what: keyof Cost = 'ownerSeconds') =>
    costs.get(streams, name, what).map((value) => value * 1000)
  /** Round by round, since figures drift from one round to the next. */
  const added = (streams: number, name: string) => {
    const alone = perToken(streams, 'alone')
    return spread(perToken(streams, name).map((value, round) => value - (alone[round] ?? NaN)))
  }
  return {
    title: 'CPU of the gateways, µs a token',
    method:
      'In the same rounds, in turn. A token that a node follows has a reader there. What is added is compared round by round. Less what idle gateways do.',
    columns: ['streams', 'without Redis', 'added by Redis', 'added with a follower', 'at the follower'],
    rows: levels.map((streams) => [
      String(streams),
      spread(perToken(streams, 'alone')),
      added(streams, 'nobody follows'),
      added(streams, 'followed'),
      number(median(perToken(streams, 'followed', 'followerSeconds'))),
    ]),
  }
}

function idleTable(idle: Cost, connections: number): Section {
  return {
    title: 'A node without streams',
    method: 'Two nodes with LEASE_MS=5000, by half.',
    columns: ['', 'for each node'],
    rows: [
      ['commands a second', number(idle.calls / 2)],
      ['bytes a second, both ways', number((idle.bytesIn + idle.bytesOut) / 2, 0)],
      ['CPU of Redis, ms a second', number((idle.cpuSeconds * 1000) / 2, 2)],
      ['connections to Redis, also with followers', number(connections / 2, 1)],
    ],
  }
}
