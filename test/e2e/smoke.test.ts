import { describe, expect, it } from 'vitest'
import { chat, resume } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { startGateway } from '../support/gateway.ts'

describe('one stream', () => {
  it('resumes after the last id without losing or repeating a token', async () => {
    const provider = new ScriptedProvider()
    const { url } = await startGateway({}, { providers: [provider] })
    const first = await chat(url, { model: 'scripted' })
    const run = await provider.nextRun()
    run.text('one ')
    await first.until((reader) => reader.ids.length === 1)
    run.text('two ')
    await first.until((reader) => reader.text === 'one two ')
    first.cut()
    run.text('three ', 'four')
    run.done()
    const second = await (await resume(url, first.id, first.ids.at(-1))).end()
    expect(first.text + second.text).toBe('one two three four')
    expect(second.ids[0]).toBeGreaterThan(first.ids.at(-1)!)
    expect(second.dones).toMatchObject([{ finish_reason: 'stop' }])
  })
})
