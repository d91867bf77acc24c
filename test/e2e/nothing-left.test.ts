import { expect, it } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { chat, open } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

// In a file of its own, as what another test has not put away yet would be counted, too.
it('leaves nothing behind: no generation, reader, timer or socket', async () => {
  const provider = new ScriptedProvider()
  const gateway = await startGateway({ resumeWindowMs: 20, retentionMs: 100 }, { providers: [provider] })
  const baseline = countResources()
  const start = async () => {
    const reader = await chat(gateway.url, { model: 'scripted' })
    const run = await provider.nextRun()
    run.text('some ')
    await reader.until(({ text }) => text !== '')
    return { reader, run }
  }
  const finished = await start()
  finished.run.done()
  const failed = await start()
  failed.run.fail(new Error('broken'))
  const cancelled = await start()
  await (await open(`${gateway.url}/v1/streams/${cancelled.reader.id}`, { method: 'DELETE' })).end()
  for (const { reader } of [finished, failed, cancelled]) await reader.end()
  const left = await start()
  left.reader.cut()
  await left.run.aborted

  await expect.poll(() => gateway.services.store.bytes).toBe(0)
  expect(gateway.services.generations.size).toBe(0)
  expect(gateway.services.heartbeat.size).toBe(0)
  expect(await gateway.metric('sluice_connections_open{protocol="native"}')).toBe(0)
  expect(await gateway.metric('sluice_streams_open{provider="scripted"}')).toBe(0)
  await gateway.drain()
  // Nothing but what the test runner itself holds.
  await expect
    .poll(countResources)
    .toEqual({ ...baseline, TCPServerWrap: (baseline.TCPServerWrap ?? 1) - 1 || undefined })
})

function countResources(): Record<string, number | undefined> {
  const counts: Record<string, number | undefined> = {}
  for (const kind of process.getActiveResourcesInfo())
    if (/^(Timeout|TCP)/.test(kind)) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}
