import { setTimeout as sleep } from 'node:timers/promises'
import { createStream, readRequest } from '../peers/sluice.ts'
import type { PinnedProcess } from '../processes.ts'
import { chatBody } from '../request.ts'
import { number } from '../statistics.ts'
import type { Bench, Measure } from './measure.ts'
import { withSluice } from './with-sluice.ts'

const TOKEN_BYTES = 200
/** With a word of the usual length before it. */
const PADDING = TOKEN_BYTES - 7

export const stalled: Measure = {
  name: 'stalled',
  fullOnly: true,
  run: (bench) =>
    withSluice(bench, { env: { STREAM_MAX_BYTES: '64mb', SLOW_READER_MS: '600000' } }, async ({ process, port }) => {
      const tokens = bench.choose(50_000, 25_000)
      const count = bench.choose(1000, 300)
      const grow = (stalledReaders: number) => growth(bench, process, { port, tokens, stalledReaders })
      // The first stream also pays for a heap of that size.
      await grow(0)
      const without = await grow(0)
      const withThem = await grow(count)
      const perReader = (withThem - without) / count
      bench.progress(`${count} stalled readers: ${number(perReader / 1024)} KiB each`)
      const megabytes = number((tokens * TOKEN_BYTES) / 1e6, 0)
      return {
        title: 'Readers that do not read',
        method: `A stream of ${megabytes} MB goes by one reader that reads and ${number(count, 0)} that never do; RSS after it less that before it. The growth without them is the log, and what the reading of it leaves behind.`,
        columns: ['', 'Sluice'],
        rows: [
          ['growth without stalled readers, MiB', number(without / 2 ** 20)],
          [`growth with ${number(count, 0)} of them, MiB`, number(withThem / 2 ** 20)],
          ['per stalled reader, KiB', number(perReader / 1024)],
        ],
      }
    }),
}

/** Of the process's RSS, in bytes, while one stream goes by. */
async function growth(
  { rig }: Bench,
  process: PinnedProcess,
  { port, tokens, stalledReaders }: { port: number; tokens: number; stalledReaders: number },
): Promise<number> {
  await rig.load('reset')
  await rig.upstream('configure', { rate: 0, burst: 5, tokens, padding: PADDING, gated: true })
  const requests = [readRequest(port, await createStream(port, chatBody('openai/bench')))]
  await rig.load('open', { port, requests, count: stalledReaders, stalled: true })
  await rig.load('open', { port, requests, count: 1 })
  // Those that connected last have been answered by then.
  await sleep(500)
  const before = process.rssBytes()
  await rig.upstream('release')
  const deadline = performance.now() + 60_000
  while ((await rig.load('counters')).ended === 0 && performance.now() < deadline) await sleep(50)
  const { tokens: received } = await rig.load('counters')
  if (received !== tokens) throw new Error(`The reader got ${received} of ${tokens} tokens.`)
  await sleep(500)
  return process.rssBytes() - before
}
