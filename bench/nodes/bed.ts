import type { Section } from '../measures/measure.ts'
import { chatRequest, createStream, readRequest, startSluice } from '../peers/sluice.ts'
import type { PinnedProcess } from '../processes.ts'
import { chatBody } from '../request.ts'
import type { Rig } from '../rig.ts'
import type { Pace } from '../upstream.ts'
import type { RedisUnderTest } from './redis.ts'

/** Tokens a second in each stream, as a fast model writes them. */
export const RATE = 50

/** Logs are kept for a shorter time than by default, so that a run keeps its size. */
const RETENTION_MS = '10000'

/** What the measures of nodes work with. */
export interface Bed {
  readonly rig: Rig
  readonly redis: RedisUnderTest
  readonly quick: boolean
  readonly choose: <T>(full: T, quick: T) => T
  readonly progress: (text: string) => void
}

export interface NodesMeasure {
  /** What `--only` takes. */
  readonly name: string
  run(bed: Bed): Promise<Section[]>
}

export interface Node {
  readonly process: PinnedProcess
  readonly port: number
}

export interface Trio {
  /** A gateway without Redis. */
  readonly alone: Node
  /** Two that share one: streams run on the first. */
  readonly owner: Node
  readonly follower: Node
}

export function startNode({ rig, redis }: Bed, env: Record<string, string> = {}): Promise<Node> {
  return startSluice(rig.upstreamPort, { env: { REDIS_URL: redis.url, RETENTION_MS, ...env } })
}

/** Streams that each gateway serves before it is measured: the first hundreds run code that is not compiled yet. */
const WARM_UP = 2000

/** Three gateways, warm, on one core; gone when `use` is over. */
export async function withTrio<T>(bed: Bed, use: (trio: Trio) => Promise<T>): Promise<T> {
  const { rig } = bed
  const nodes: Node[] = []
  const start = async (env: Record<string, string> = {}) => {
    const node = await startNode(bed, env)
    nodes.push(node)
    return node
  }
  try {
    const trio = { alone: await start({ REDIS_URL: '' }), owner: await start(), follower: await start() }
    for (const { port } of nodes) {
      await rig.upstream('configure', { rate: 1000, tokens: 2 })
      const request = chatRequest(port)
      await rig.load('open', { port, requests: [request], count: 16, total: bed.choose(WARM_UP, 500) })
      await rig.load('untilEnded', 20_000)
      await rig.finish()
    }
    return await use(trio)
  } finally {
    await rig.load('reset')
    await Promise.all(nodes.map((node) => node.process.stop()))
    await bed.redis.flush()
  }
}

/** Starts streams on a node, which send one token and wait for the upstream's release; resolves to their ids. */
export async function createStreams({ rig }: Bed, { port }: Node, count: number, pace: Pace): Promise<string[]> {
  await rig.load('reset')
  await rig.upstream('configure', { ...pace, gated: true })
  const ids: string[] = []
  while (ids.length < count) {
    const some = Array.from({ length: Math.min(20, count - ids.length) }, () =>
      createStream(port, chatBody('openai/bench')),
    )
    ids.push(...(await Promise.all(some)))
  }
  return ids
}

/** Reads these streams at a node; resolves when every reader has its first token. */
export async function readStreams({ rig }: Bed, { port }: Node, ids: readonly string[]): Promise<void> {
  await rig.load('open', { port, requests: ids.map((id) => readRequest(port, id)), count: ids.length })
}
