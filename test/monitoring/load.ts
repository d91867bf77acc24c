import { expect } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import { chat, open } from '../support/reader.ts'
import type { ScriptedProvider } from '../support/scripted-provider.ts'
import type { Clients } from './clients.ts'

/** All that clients usually do; twice the same, so that it is spread over more than one scrape. */
export async function behave(clients: Clients): Promise<void> {
  for (let round = 0; round < 2; round++)
    await Promise.all([
      clients.native('mock/mock', { mock: { tokens: 40, interval_ms: 25 } }),
      clients.native('mock/mock', { mock: { tokens: 200, interval_ms: 0, seed: round } }),
      clients.native('mock/mock', { mock: { tokens: 8, interval_ms: 10, stall_at: 4, stall_ms: 500 } }),
      clients.native('mock/mock', { mock: { tokens: 8, interval_ms: 10, fail_at: 5 } }),
      clients.native('openai/gpt-test'),
      clients.openai('mock/mock', { mock: { tokens: 30, interval_ms: 20 } }),
      clients.openai('mock/mock', { mock: { tokens: 30, interval_ms: 5, fail_at: 9 } }),
      clients.openai('openai/gpt-test', { model: 'assistant' }),
      clients.anthropic('mock/mock', { mock: { tokens: 30, interval_ms: 20 } }),
      clients.anthropic('openai/gpt-test'),
      clients.cancel(),
      clients.comeBack(),
      clients.comeBackInVain(),
    ])
}

/** A reader whose socket stays full, one that goes away and does not come back, and requests that fail or are refused. */
export async function misbehave(gateway: TestGateway, provider: ScriptedProvider): Promise<void> {
  const reader = await chat(gateway.url, { model: provider.name }, { paused: true })
  const run = await provider.nextRun()
  run.text(...Array.from({ length: 200 }, () => 'x'.repeat(100_000)))
  run.done()
  await expect.poll(() => gateway.metric('sluice_slow_readers_closed_total')).toBe(1)
  reader.cut()
  const leaver = await chat(gateway.url, { model: 'mock', mock: { tokens: 9, interval_ms: 5, stall_at: 4 } })
  await leaver.until(({ ids }) => ids.length > 0)
  leaver.cut()
  for (let round = 0; round < 2; round++) {
    expect((await chat(gateway.url, { model: 'mock', max_tokens: 1001 })).status).toBe(400)
    const body = { model: 'mock', messages: [{ role: 'user', content: 'hi' }], mock: { tokens: 3, fail_at: 1 } }
    expect((await open(`${gateway.url}/v1/chat/completions`, { method: 'POST', body })).status).toBe(502)
    expect((await chat(gateway.url, { model: 'mock' }, { headers: { host: 'evil.example' } })).status).toBe(403)
    expect((await open(`${gateway.url}/nothing`)).status).toBe(404)
  }
}

/** Waits until all streams have ended and all readers are gone: then the counters have their last values. */
export async function idle(gateway: TestGateway): Promise<void> {
  await gateway.services.generations.idle()
  const connections = async () => {
    const lines = (await gateway.services.metrics.text()).split('\n')
    const gauges = lines.filter((line) => line.startsWith('sluice_connections_open{'))
    return gauges.reduce((total, line) => total + Number(line.split(' ').at(-1)), 0)
  }
  await expect.poll(connections).toBe(0)
}
