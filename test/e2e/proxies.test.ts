import { expect, it } from 'vitest'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { expectEveryToken } from '../support/proxies/every-token.ts'
import { describeBehindProxies, type StartProxy } from '../support/proxies/index.ts'
import { chat, open, resume } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

/** A gateway with a provider that the test plays, and its URL behind the proxy. */
async function serve(start: StartProxy, settings: Parameters<typeof startGateway>[0] = {}) {
  const provider = new ScriptedProvider()
  const gateway = await startGateway(settings, { providers: [provider] })
  return { provider, gateway, url: await start(gateway.url) }
}

const openReaders = (gateway: TestGateway) => gateway.metric('sluice_connections_open{protocol="native"}')

/** Some proxies find out that a reader has left when they pass on the next byte. */
const LEAVING = { resumeWindowMs: 0, heartbeatMs: 50 }

describeBehindProxies((start) => {
  it('brings every token as soon as it is there', async () => {
    const { provider, url } = await serve(start)
    await expectEveryToken(provider, url)
  })

  it('brings the headers of a stream that has no byte yet', async () => {
    const { provider, url } = await serve(start)
    const created = await chat(url, { model: 'scripted' })
    const run = await provider.nextRun()
    // Only the native protocol begins with a line of its own.
    const reader = await open(`${url}/v1/streams/${created.id}?protocol=openai-chat`, {
      headers: { accept: 'text/event-stream' },
    })
    expect(reader.status).toBe(200)
    expect(reader.body).toBe('')
    run.done()
    await reader.end()
    expect(reader.body).toContain('[DONE]')
  })

  it('brings heartbeats while there is nothing else to bring', async () => {
    const { provider, url } = await serve(start, { heartbeatMs: 50 })
    const reader = await chat(url, { model: 'scripted' })
    await provider.nextRun()
    await reader.until(({ comments }) => comments.length === 3)
  })

  it('passes a stream on as it is to a reader who would take it compressed', async () => {
    const { provider, url } = await serve(start)
    const reader = await chat(url, { model: 'scripted' }, { headers: { 'accept-encoding': 'gzip, br, zstd' } })
    const run = await provider.nextRun()
    run.text('one ')
    await reader.until(({ text }) => text === 'one ')
    run.done()
    await reader.end()
    expect(reader.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
    })
    expect(reader.headers).not.toHaveProperty('content-encoding')
  })

  it('tells the gateway when a reader leaves', async () => {
    const { provider, gateway, url } = await serve(start, LEAVING)
    const reader = await chat(url, { model: 'scripted' })
    const run = await provider.nextRun()
    run.text('one ')
    await reader.until(({ text }) => text === 'one ')
    expect(await openReaders(gateway)).toBe(1)
    reader.cut()
    await run.aborted
    expect(await openReaders(gateway)).toBe(0)
  })

  it('tells the gateway when a reader leaves before the first token', async () => {
    const { provider, url } = await serve(start, LEAVING)
    const reader = await chat(url, { model: 'scripted' })
    const run = await provider.nextRun()
    reader.cut()
    await run.aborted
  })

  it('lets a reader resume behind its cursor, and stops one that has it all', async () => {
    const { provider, url } = await serve(start)
    const first = await chat(url, { model: 'scripted' })
    const run = await provider.nextRun()
    run.text('one ')
    await first.until(({ text }) => text === 'one ')
    first.cut()
    const second = await resume(url, first.id, 1)
    run.text('two')
    await second.until(({ text }) => text === 'two')
    run.done()
    await second.end()
    expect(second.ids).toStrictEqual([2, 3])
    expect((await resume(url, first.id, 3)).status).toBe(204)
  })

  it('lets a reader resume by asking again with its Idempotency-Key', async () => {
    const { provider, url } = await serve(start)
    const ask = (cursor: string) =>
      chat(url, { model: 'scripted' }, { headers: { 'idempotency-key': 'a key', 'last-event-id': cursor } })
    const first = await ask('')
    const run = await provider.nextRun()
    run.text('one ')
    await first.until(({ text }) => text === 'one ')
    first.cut()
    const second = await ask('1')
    run.text('two')
    await second.until(({ text }) => text === 'two')
    run.done()
    await second.end()
    expect(second.id).toBe(first.id)
    expect(second.ids).toStrictEqual([2, 3])
    expect((await ask('3')).status).toBe(204)
    expect(provider.runs).toHaveLength(1)
  })
})
