import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { nativeEncoder } from '../../src/protocols/native/native.ts'
import { startGateway } from '../support/gateway.ts'
import { chat, resume } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

const TOKENS = 40_000
const token = (position: number) => `${position} `.padEnd(40, 'abcdefghi ')

async function startFinished() {
  const provider = new ScriptedProvider()
  const gateway = await startGateway({}, { providers: [provider] })
  const first = await chat(gateway.url, { model: 'scripted' })
  const run = await provider.nextRun()
  run.text(...Array.from({ length: TOKENS }, (_, i) => token(i)))
  run.done()
  await first.end()
  return { provider, gateway, id: first.id, text: first.text }
}

describe('late readers of a long stream', () => {
  it('share one encoding of all batches but the last', async () => {
    const encode = vi.spyOn(nativeEncoder, 'encode')
    onTestFinished(() => encode.mockRestore())
    const { gateway, id, text } = await startFinished()
    const readers = await Promise.all(Array.from({ length: 50 }, async () => (await resume(gateway.url, id)).end()))
    for (const reader of readers) expect([reader.text === text, reader.dones.length]).toEqual([true, 1])
    const batches = Math.ceil(text.length / 16_384)
    // The last batch is not cached; at worst each reader encodes it again.
    expect(encode.mock.calls.length).toBeLessThanOrEqual(batches + readers.length + 1)
  })

  it('do not delay a live reader: it gets a frame for each token', async () => {
    const { provider, gateway, id, text } = await startFinished()
    const live = await chat(gateway.url, { model: 'scripted' })
    const run = await provider.nextRun()
    const late = Promise.all(Array.from({ length: 30 }, async () => (await resume(gateway.url, id)).end()))
    for (let seen = 1; seen <= 100; seen++) {
      run.text('x')
      await live.until(({ ids }) => ids.at(-1) === seen)
    }
    run.done()
    await live.end()
    expect(live.deltas).toEqual(Array.from({ length: 100 }, () => ({ content: 'x' })))
    for (const reader of await late) expect([reader.text === text, reader.dones.length]).toEqual([true, 1])
  })
})
