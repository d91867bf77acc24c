/**
 * Our decoder beside eventsource-parser, on chunks as OpenAI sends them: `npx tsx bench/decode.ts`.
 * Both run in one process, in pairs whose order alternates: only the ratio means anything on another machine.
 */
import { createParser } from 'eventsource-parser'
import { EventDecoder } from '../src/sse/decode.ts'

const EVENTS = 100_000
const ROUNDS = 15
const READ_BYTES = 64 * 1024

type Decode = (reads: readonly Uint8Array[]) => number

const ours: Decode = (reads) => {
  const decoder = new EventDecoder()
  let characters = 0
  for (const read of reads) for (const { data } of decoder.push(read)) characters += data.length
  return characters
}

const theirs: Decode = (reads) => {
  let characters = 0
  const parser = createParser({ onEvent: ({ data }) => (characters += data.length) })
  const text = new TextDecoder()
  for (const read of reads) parser.feed(text.decode(read, { stream: true }))
  return characters
}

function frame(position: number): string {
  const chunk = {
    id: 'chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG',
    object: 'chat.completion.chunk',
    created: 1_741_570_283,
    model: 'gpt-4o-2024-08-06',
    service_tier: 'default',
    system_fingerprint: 'fp_50cad350e4',
    choices: [{ index: 0, delta: { content: ` token${position % 1000}` }, logprobs: null, finish_reason: null }],
  }
  return `data: ${JSON.stringify(chunk)}\n\n`
}

function cut(bytes: Uint8Array, size: number): Uint8Array[] {
  const reads: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += size) reads.push(bytes.subarray(at, at + size))
  return reads
}

/** Nanoseconds an event. */
function measure(decode: Decode, reads: readonly Uint8Array[], characters: number): number {
  const start = performance.now()
  const decoded = decode(reads)
  const elapsed = performance.now() - start
  if (decoded !== characters) throw new Error(`decoded ${decoded} characters of ${characters}`)
  return (elapsed * 1e6) / EVENTS
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN
}

function compare(title: string, reads: readonly Uint8Array[], characters: number): void {
  const pairs: { ours: number; theirs: number }[] = []
  // The first two pairs warm up.
  for (let round = -2; round < ROUNDS; round++) {
    const first = measure(round % 2 === 0 ? ours : theirs, reads, characters)
    const second = measure(round % 2 === 0 ? theirs : ours, reads, characters)
    if (round >= 0) pairs.push(round % 2 === 0 ? { ours: first, theirs: second } : { ours: second, theirs: first })
  }
  const [a, b] = [median(pairs.map((pair) => pair.ours)), median(pairs.map((pair) => pair.theirs))]
  const ratio = median(pairs.map((pair) => pair.ours / pair.theirs))
  process.stdout.write(
    `${title.padEnd(24)} sluice ${a.toFixed(0).padStart(5)} ns/event   eventsource-parser ${b.toFixed(0).padStart(5)} ns/event   ratio ${ratio.toFixed(2)}\n`,
  )
}

const frames = Array.from({ length: EVENTS }, (_, position) => frame(position))
const encoder = new TextEncoder()
const single = frames.map((text) => encoder.encode(text))
const bytes = encoder.encode(frames.join(''))
const characters = frames.reduce((sum, text) => sum + text.length - 'data: \n\n'.length, 0)

process.stdout.write(
  `Node ${process.version}, ${EVENTS} events of ${Math.round(bytes.length / EVENTS)} bytes, median of ${ROUNDS} pairs\n`,
)
compare('one event a read', single, characters)
compare('64 KiB a read', cut(bytes, READ_BYTES), characters)
