/**
 * What it costs to count a frame: `npx tsx bench/instruments.ts`. All that is counted for one, once with our cells and
 * once as Prometheus's client does it, and what a scrape costs with 2 and with 20 providers.
 */
import { Counter, Histogram, Registry } from 'prom-client'
import { protocols } from '../src/protocols/index.ts'
import { startAtZero } from '../src/telemetry/observe-streams.ts'
import { Metrics } from '../src/telemetry/metrics.ts'

const FRAMES = 1_000_000
const ROUNDS = 11
/** What relaying a frame costs in all, by `npm run bench`, to compare with. */
const RELAY_NS = 20_000

/** Counts one frame of so many bytes; the times are what the gateway looks at anyway. */
type CountFrame = (bytes: number, gap: number, latency: number) => void

/** As `stream/generation.ts` and `http/send-stream.ts` do. */
function withCells(): CountFrame {
  const metrics = new Metrics()
  const label = { protocol: 'openai-chat' }
  const interToken = metrics.histogram('inter_token_latency_seconds', { provider: 'openai' })
  const relayLatency = metrics.histogram('relay_latency_seconds', label)
  const deltas = metrics.cell('frames_sent_total', { ...label, event: 'delta' })
  const dones = metrics.cell('frames_sent_total', { ...label, event: 'done' })
  const sent = metrics.cell('sent_bytes_total', label)
  const merged = metrics.cell('merged_deltas_total', {})
  return (bytes, gap, latency) => {
    interToken.observe(gap)
    deltas.add(1)
    dones.add(0)
    sent.add(bytes)
    merged.add(0)
    relayLatency.observe(latency)
  }
}

function withClient(): CountFrame {
  const registers = [new Registry()]
  const histogram = (name: string, labelNames: string[]) => new Histogram({ name, help: name, labelNames, registers })
  const counter = (name: string, labelNames: string[] = []) => new Counter({ name, help: name, labelNames, registers })
  const interToken = histogram('inter_token', ['provider'])
  const relayLatency = histogram('relay_latency', ['protocol'])
  const frames = counter('frames', ['protocol', 'event'])
  const sent = counter('sent', ['protocol'])
  const merged = counter('merged')
  return (bytes, gap, latency) => {
    interToken.observe({ provider: 'openai' }, gap)
    frames.inc({ protocol: 'openai-chat', event: 'delta' }, 1)
    frames.inc({ protocol: 'openai-chat', event: 'done' }, 0)
    sent.inc({ protocol: 'openai-chat' }, bytes)
    merged.inc(0)
    relayLatency.observe({ protocol: 'openai-chat' }, latency)
  }
}

/** Nanoseconds a frame, of values as they come: gaps around 30 ms, latencies around 100 µs. */
function measure(count: CountFrame, frames: number): number {
  const start = performance.now()
  for (let i = 0; i < frames; i++) count(100 + (i % 50), ((i * 7919) % 60) / 1000, ((i * 31) % 300) / 1e6)
  return ((performance.now() - start) * 1e6) / frames
}

/** One look at the clock, of which the gateway takes two a frame. */
function measureClock(): number {
  const start = performance.now()
  let sum = 0
  for (let i = 0; i < FRAMES; i++) sum += performance.now()
  if (sum === 0) throw new Error('The clock stands still')
  return ((performance.now() - start) * 1e6) / FRAMES
}

async function measureScrape(
  providers: number,
  models: number,
): Promise<{ lines: number; text: number; open: number }> {
  const names = (length: number, prefix: string) => Array.from({ length }, (_, i) => `${prefix}-${i}`)
  const known = new Map(names(providers, 'provider').map((name) => [name, new Set(names(models, 'model'))]))
  const metrics = new Metrics(known)
  startAtZero(metrics, known, protocols.names)
  const times = { text: [] as number[], open: [] as number[] }
  let lines = 0
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now()
    const text = await metrics.registry.metrics()
    const middle = performance.now()
    await metrics.openMetrics.metrics()
    times.text.push(middle - start)
    times.open.push(performance.now() - middle)
    lines = text.split('\n').length
  }
  return { lines, text: median(times.text), open: median(times.open) }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN
}

function report(title: string, nanoseconds: number): void {
  const share = ((100 * nanoseconds) / RELAY_NS).toFixed(2)
  process.stdout.write(
    `${title.padEnd(28)} ${nanoseconds.toFixed(0).padStart(5)} ns   ${share.padStart(5)} % of 20 µs\n`,
  )
}

const [cells, client] = [withCells(), withClient()]
const ours: number[] = []
const theirs: number[] = []
// The first two rounds warm up.
for (let round = -2; round < ROUNDS; round++) {
  const pair = [measure(cells, FRAMES), measure(client, FRAMES / 10)] as const
  if (round < 0) continue
  ours.push(pair[0])
  theirs.push(pair[1])
}

process.stdout.write(`Node ${process.version}, protocols ${protocols.rows.length}, median of ${ROUNDS} rounds\n`)
report('a frame, with cells', median(ours))
report('a frame, with prom-client', median(theirs))
report('a look at the clock', measureClock())
for (const [providers, models] of [
  [2, 5],
  [20, 10],
] as const) {
  const { lines, text, open } = await measureScrape(providers, models)
  process.stdout.write(
    `a scrape, ${providers} × ${models} models: ${lines} lines, text ${text.toFixed(1)} ms, OpenMetrics ${open.toFixed(1)} ms\n`,
  )
}
