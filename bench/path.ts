/**
 * `npx tsx bench/path.ts`: what Sluice's own code costs a token, from the body that a read of
 * a socket brings to the bytes that another is given, without either. Some 15 % of a relayed token, and the part that a change to it can move:
 * a machine too noisy to tell two relays apart still tells two of these.
 */
import { ChunkReader } from '../providers/openai/chunks.ts'
import type { Provider } from '../providers/provider.ts'
import type { ExchangeHandler } from '../providers/transport/transport.ts'
import { UpstreamStream } from '../providers/upstream.ts'
import { native } from '../src/protocols/native/native.ts'
import { openaiChat } from '../src/protocols/openai/chat.ts'
import type { Protocol } from '../src/protocols/protocol.ts'
import { sharedFrames } from '../src/protocols/shared-frames.ts'
import { Breaker } from '../src/routing/breaker.ts'
import { Run } from '../src/routing/run.ts'
import type { Target } from '../src/routing/target.ts'
import { Generations } from '../src/stream/generation.ts'
import { StreamLog } from '../src/stream/stream-log.ts'
import { Subscription } from '../src/stream/readers.ts'
import { createRings } from './chunks.ts'
import { number, spread } from './statistics.ts'

const STREAMS = 200
const ROUNDS = 7
const ROUND_MS = 500

/** What a connection is to an upstream's stream: it is given each read of a socket. */
const upstreams: ExchangeHandler[] = []
const transport = {
  request(_: unknown, handler: ExchangeHandler) {
    handler.onHead({ status: 200, headers: new Map([['content-type', 'text/event-stream']]) })
    upstreams.push(handler)
    return { abort: () => {}, pause: () => {}, resume: () => {} }
  },
}

const provider: Provider = {
  name: 'openai',
  stream: (request, { signal }) =>
    new UpstreamStream(
      { transport, path: '/', headers: {}, body: request, signal, connectTimeoutMs: 10_000 },
      new ChunkReader(),
    ),
}

const target: Target = {
  name: 'openai/bench',
  provider,
  model: 'bench',
  options: {},
  keys: [],
  timeouts: {
    connectTimeoutMs: 1e6,
    firstTokenTimeoutMs: 1e6,
    idleTimeoutMs: 1e6,
    totalTimeoutMs: undefined,
  },
  retries: 0,
  breaker: new Breaker({ failures: 1, cooldownMs: 1 }),
}

/** Chunks as a connection hands them over: without HTTP around them. */
const [ring] = createRings()
const chunks = Array.from({ length: 64 }, (_, i) => {
  const piece = ring!.slice(i, 1)
  return piece.subarray(piece.indexOf('data: '), -2)
})
const turn = () => new Promise((resolve) => setImmediate(resolve))

async function open(protocol: Protocol): Promise<{ frames: () => number }> {
  const generations = new Generations()
  let frames = 0
  for (let i = 0; i < STREAMS; i++) {
    const id = `str_${i}`
    const log = new StreamLog({ id, owner: 'bench', model: 'bench', provider: 'openai', created: 0 })
    const plan = { model: 'bench', targets: [target] as [Target] }
    generations.start({
      log,
      resumeWindowMs: 1e6,
      produce: (signal, sink) => new Run(plan, sink, { signal, streamId: id }).open({ messages: [] }),
    })
    const subscription = new Subscription(log, 0, sharedFrames(log, protocol).reader(), () => {
      const batch = subscription.next()
      if (batch && batch.payload.chunk.length > 0) frames += batch.deltas
    })
  }
  await turn()
  return { frames: () => frames }
}

/** µs of CPU a token. */
async function measure(burst: number, milliseconds: number): Promise<number> {
  const before = process.cpuUsage()
  const end = performance.now() + milliseconds
  let tokens = 0
  while (performance.now() < end) {
    for (const upstream of upstreams) {
      const at = tokens % chunks.length
      upstream.onBody(burst === 1 ? chunks[at]! : Buffer.concat(chunks.slice(at, at + burst)))
      tokens += burst
    }
    await turn()
    await turn()
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / tokens
}

for (const protocol of [native, openaiChat]) {
  upstreams.length = 0
  const { frames } = await open(protocol)
  for (const burst of [1, 8]) {
    await measure(burst, 1500)
    const costs: number[] = []
    for (let round = 0; round < ROUNDS; round++) costs.push(await measure(burst, ROUND_MS))
    if (frames() === 0) throw new Error('Nothing came through.')
    const what = `${protocol.name}, ${burst === 1 ? 'one chunk a read' : `${burst} chunks a read`}`
    process.stdout.write(
      `${what.padEnd(36)} ${spread(costs, 2)} µs a token, the least ${number(Math.min(...costs), 2)}\n`,
    )
  }
}
process.exit()
