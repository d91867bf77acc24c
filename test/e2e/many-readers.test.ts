import { describe, expect, it, vi } from 'vitest'
import { nativeEncoder } from '../../src/protocols/native/native.ts'
import { startGateway } from '../support/gateway.ts'
import { chat, resume } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

describe('a thousand readers of one stream', () => {
  it('share one run of the provider and one encoding of each event', async () => {
    const provider = new ScriptedProvider()
    const gateway = await startGateway({}, { providers: [provider] })
    const first = await chat(gateway.url, { model: 'scripted' })
    const run = await provider.nextRun()
    const readers = [first, ...(await Promise.all(Array.from({ length: 999 }, () => resume(gateway.url, first.id))))]
    const encode = vi.spyOn(nativeEncoder, 'encode')

    for (let token = 0; token < 20; token++) {
      run.text(`token ${token} `)
      await Promise.all(readers.map((reader) => reader.until(({ ids }) => ids.at(-1) === token + 1)))
    }
    run.done()
    await Promise.all(readers.map((reader) => reader.end()))

    const encoded = encode.mock.calls.flatMap(([batch]) => batch.events.map(({ seq }) => seq))
    encode.mockRestore()
    expect(encoded).toEqual(Array.from({ length: 21 }, (_, i) => i + 1))
    expect(provider.runs).toHaveLength(1)
    const text = Array.from({ length: 20 }, (_, i) => `token ${i} `).join('')
    for (const reader of readers) expect([reader.text, reader.dones.length]).toEqual([text, 1])
  })
})
