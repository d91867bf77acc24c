import { setTimeout as sleep } from 'node:timers/promises'
import { Collected, interleave, type Section } from '../measures/measure.ts'
import { chatRequest, readRequest } from '../peers/sluice.ts'
import { LOAD_CORE } from '../processes.ts'
import { connect } from '../remote.ts'
import { startScript } from '../rig.ts'
import { median, quantile, spread } from '../statistics.ts'
import { createStreams, RATE, withTrio, type Bed, type Node, type NodesMeasure } from './bed.ts'
import type { PairCommands } from './pairs.ts'

const STREAMS = 50
const TOKENS = 50

/** What readers wait longer: where a stream runs because of Redis, and elsewhere. */
export const delays: NodesMeasure = {
  name: 'delays',
  run: (bed) =>
    withTrio(bed, async ({ alone, owner, follower }) => [
      await atOwner(bed, alone, owner),
      await atFollower(bed, owner, follower),
    ]),
}

async function atOwner(bed: Bed, alone: Node, owner: Node): Promise<Section> {
  const { rig } = bed
  const collected = new Collected()
  const subjects = [
    { name: 'without Redis', port: alone.port },
    { name: 'with Redis', port: owner.port },
  ]
  const rows = ['first token, p50', 'first token, p99', 'jitter, p50', 'jitter, p99']
  await interleave(bed.choose(8, 2), subjects, async ({ name, port }, round) => {
    const streamMs = (1000 * TOKENS) / RATE
    await rig.open(
      { rate: RATE, tokens: TOKENS },
      {
        port,
        requests: [chatRequest(port)],
        count: STREAMS,
        total: 1e9,
        apartMs: streamMs / STREAMS,
        pauseMs: 100,
        intervalMs: 1000 / RATE,
      },
    )
    await rig.load('forget')
    await sleep(bed.choose(5000, 1000))
    const first = await rig.load('firstTokens')
    const jitter = await rig.load('jitter')
    await rig.finish()
    // The first round warms up.
    if (round === 1) return
    for (const [i, value] of [quantile(first, 0.5), quantile(first, 0.99), ...jitter].entries())
      collected.add(value, name, rows[i] ?? '')
    bed.progress(`delays at the owner, ${round}, ${name}: first token after ${quantile(first, 0.5).toFixed(2)} ms`)
  })
  const added = (row: string) =>
    collected.get('with Redis', row).map((value, round) => value - (collected.get('without Redis', row)[round] ?? NaN))
  return {
    title: 'Where a stream runs, ms',
    method: `${STREAMS} streams of ${RATE} tokens a second at a time, each reader asking for another of ${TOKENS} tokens. Two gateways in turn; what Redis adds is compared round by round. Jitter: by how much the time between two tokens differs from ${1000 / RATE} ms.`,
    columns: ['', 'without Redis', 'added by Redis'],
    rows: rows.map((row) => [row, spread(collected.get('without Redis', row), 2), spread(added(row), 2)]),
  }
}

async function atFollower(bed: Bed, owner: Node, follower: Node): Promise<Section> {
  const { rig } = bed
  const child = startScript('nodes/pairs.ts', { core: LOAD_CORE, ipc: true })
  const pairs = await connect<PairCommands>(child.child)
  const first: [number[], number[]] = [[], []]
  const later: { p50: number[]; p99: number[] } = { p50: [], p99: [] }
  for (let round = 1; round <= bed.choose(6, 2); round++) {
    const ids = await createStreams(bed, owner, STREAMS, { rate: RATE })
    const request = (id: string) => [readRequest(owner.port, id), readRequest(follower.port, id)] as [string, string]
    await pairs('open', { ports: [owner.port, follower.port], requests: ids.map(request) })
    await rig.upstream('release')
    await sleep(bed.choose(5000, 1500))
    const { firstMs, laterMs } = await pairs('times')
    await rig.finish()
    // The first round warms up.
    if (round === 1) continue
    first[0].push(...firstMs[0])
    first[1].push(...firstMs[1])
    later.p50.push(median(laterMs))
    later.p99.push(quantile(laterMs, 0.99))
    bed.progress(`delays at the follower, ${round}: ${median(laterMs).toFixed(1)} ms later`)
  }
  await child.stop()
  const of = (times: number[]) => `${quantile(times, 0.5).toFixed(1)}, p99 ${quantile(times, 0.99).toFixed(1)}`
  return {
    title: 'At another node, ms',
    method: `${STREAMS} streams of ${RATE} tokens a second, each read at both nodes by one process. A reader joins a running stream by GET.`,
    columns: ['', 'figure'],
    rows: [
      ['a token comes later than where its stream runs, p50', spread(later.p50)],
      ['… p99', spread(later.p99)],
      ['from joining to the first token, where the stream runs: p50', of(first[0])],
      ['… at the other node', of(first[1])],
    ],
  }
}
