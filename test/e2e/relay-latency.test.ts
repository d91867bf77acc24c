import { describe, expect, it } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { chat, resume } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

const COUNT = 'sluice_relay_latency_seconds_count{protocol="native"}'
const SUM = 'sluice_relay_latency_seconds_sum{protocol="native"}'

describe('the relay latency', () => {
  it('is measured once for each write of what has just arrived, and not for what was there', async () => {
    const provider = new ScriptedProvider()
    const gateway = await startGateway({}, { providers: [provider] })
    const reader = await chat(gateway.url, { model: 'scripted' })
    const run = await provider.nextRun()
    for (const [i, content] of ['a', 'b', 'c'].entries()) {
      run.text(content)
      await reader.until(({ ids }) => ids.length === i + 1)
    }
    expect(await gateway.metric(COUNT)).toBe(3)
    const late = await resume(gateway.url, reader.id)
    await late.until(({ ids }) => ids.length === 1)
    expect(await gateway.metric(COUNT)).toBe(3)
    run.done()
    await Promise.all([reader.end(), late.end()])
    expect(await gateway.metric(COUNT)).toBe(5)
    expect(await gateway.metric(SUM)).toBeGreaterThan(0)
  })
})
