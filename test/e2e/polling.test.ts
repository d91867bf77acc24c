import { expect, it, onTestFinished, vi } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { chat, open } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

it('keeps a stream running for as long as somebody asks for snapshots', async () => {
  const provider = new ScriptedProvider()
  const { url, services } = await startGateway({ resumeWindowMs: 60_000 }, { providers: [provider] })
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const { id } = await (await chat(url, { model: 'scripted' }, { headers: { prefer: 'respond-async' } })).end()
  const run = await provider.nextRun()
  const status = async () => {
    const snapshot = await open(`${url}/v1/streams/${id}`, { headers: { accept: 'application/json' } })
    return ((await snapshot.end()).json as { status: string }).status
  }
  for (let count = 0; count < 3; count++) {
    expect(await status()).toBe('running')
    vi.advanceTimersByTime(50_000)
  }
  expect(await status()).toBe('running')
  vi.advanceTimersByTime(60_000)
  await run.aborted
  await services.generations.idle()
  expect(await status()).toBe('cancelled')
})
