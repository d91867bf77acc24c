import { describe, expect, it } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { chat, resume, type Reader } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

async function start(flushIntervalMs: number) {
  const provider = new ScriptedProvider()
  const gateway = await startGateway({ flushIntervalMs }, { providers: [provider] })
  const reader = await chat(gateway.url, { model: 'scripted' })
  return { gateway, reader, run: await provider.nextRun() }
}

const hasFrames = (count: number) => (reader: Reader) => reader.messages.length >= count

/** Deltas that wait for a timer would not leave before the end of the test. */
const NEVER = 1_000_000

describe('FLUSH_INTERVAL_MS', () => {
  it('lets all but the first delta of a reader and done wait, and leave merged', async () => {
    const { gateway, reader, run } = await start(NEVER)
    run.text('a')
    await reader.until(hasFrames(1))
    for (const content of ['b', 'c', 'd']) {
      run.text(content)
      await new Promise((resolve) => setImmediate(resolve))
    }
    const late = await resume(gateway.url, reader.id, 0)
    await late.until(hasFrames(1))
    run.done()
    await Promise.all([reader.end(), late.end()])
    expect(reader.messages.map(({ id, event }) => [id, event])).toEqual([
      ['1', 'delta'],
      ['4', 'delta'],
      ['5', 'done'],
    ])
    expect(late.messages.map(({ id }) => id)).toEqual(['4', '5'])
    expect([reader.text, late.text]).toEqual(['abcd', 'abcd'])
  })

  it('keeps none longer than that', async () => {
    const { reader, run } = await start(20)
    run.text('a')
    await reader.until(hasFrames(1))
    run.text('b')
    await reader.until(hasFrames(2))
    expect(reader.text).toBe('ab')
  })
})
