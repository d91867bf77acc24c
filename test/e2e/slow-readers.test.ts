import { describe, expect, it } from 'vitest'
import type { Provider } from '../../providers/provider.ts'
import { startGateway } from '../support/gateway.ts'
import { chat, resume } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

const TOKENS = 50_000
const token = (position: number) => `${position} `.padEnd(400, 'abcdefghi ')

/** 50,000 tokens over ten seconds, five every millisecond. */
const torrent: Provider = {
  name: 'torrent',
  models: ['torrent'],
  async *stream() {
    const start = performance.now()
    for (let sent = 0; sent < TOKENS;) {
      const due = Math.min(TOKENS, Math.floor((performance.now() - start) * 5) + 1)
      if (due > sent)
        yield Array.from({ length: due - sent }, (_, i) => ({ type: 'delta' as const, content: token(sent + i) }))
      sent = Math.max(sent, due)
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    yield { type: 'done', finish_reason: 'stop' }
  },
}

describe('a reader that does not read', () => {
  it('gets all of the text of 50,000 tokens it slept through, in far fewer frames', async () => {
    const gateway = await startGateway({ streamMaxBytes: 64 * 1024 ** 2 }, { providers: [torrent] })
    const reader = await chat(gateway.url, { model: 'torrent' }, { paused: true })
    await gateway.services.generations.idle()
    expect(await gateway.metric('sluice_backpressure_waits_total')).toBeGreaterThan(0)
    reader.resume()
    await reader.end()
    expect(reader.text).toBe(Array.from({ length: TOKENS }, (_, i) => token(i)).join(''))
    expect(reader.messages.length).toBeLessThan(TOKENS / 10)
    expect(reader.dones).toHaveLength(1)
  })

  it('costs the log and no copy of it, however many they are', async () => {
    const readers = 200
    const provider = new ScriptedProvider()
    const gateway = await startGateway({ streamMaxBytes: 64 * 1024 ** 2 }, { providers: [provider] })
    const first = await chat(gateway.url, { model: 'scripted' }, { paused: true })
    const run = await provider.nextRun()
    const others = Array.from({ length: readers - 1 }, () => resume(gateway.url, first.id, 0, { paused: true }))
    await Promise.all(others)
    const before = process.memoryUsage()
    for (let sent = 0; sent < 25_000; sent += 1000) {
      run.text(...Array.from({ length: 1000 }, (_, i) => token(sent + i)))
      await new Promise((resolve) => setImmediate(resolve))
    }
    run.done()
    await gateway.services.generations.idle()
    const after = process.memoryUsage()
    const grown = after.heapUsed + after.external - before.heapUsed - before.external
    // The log holds 10 MB; a queue for each reader would hold two gigabytes.
    expect(grown).toBeLessThan(150 * 1024 ** 2)
    expect(await gateway.metric('sluice_connections_open{protocol="native"}')).toBe(readers)
  })

  it('is closed when its socket has not drained for the time allowed, and can come back', async () => {
    const provider = new ScriptedProvider()
    const gateway = await startGateway({ slowReaderMs: 200, streamMaxBytes: 64 * 1024 ** 2 }, { providers: [provider] })
    const reader = await chat(gateway.url, { model: 'scripted' }, { paused: true })
    const run = await provider.nextRun()
    const text = Array.from({ length: 200 }, () => 'x'.repeat(100_000))
    run.text(...text)
    run.done()
    const witness = await resume(gateway.url, reader.id)
    await witness.end()
    await expect.poll(() => gateway.metric('sluice_slow_readers_closed_total')).toBe(1)
    reader.resume()
    await reader.end()
    expect(reader.complete).toBe(false)
    const rest = await (await resume(gateway.url, reader.id, reader.ids.at(-1))).end()
    expect(reader.text + rest.text).toBe(text.join(''))
  })
})
