import { expect, it } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { describeBehindProxies } from '../support/proxies/index.ts'
import { chat, open, resume } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

const mock = { text: 'Hello', interval_ms: 0 }

describeBehindProxies((start) => {
  it('brings two readers of one stream what is behind their own cursors, at the same time', async () => {
    const provider = new ScriptedProvider()
    const gateway = await startGateway({}, { providers: [provider] })
    const url = await start(gateway.url)
    const first = await chat(url, { model: 'scripted' })
    const run = await provider.nextRun()
    run.text('one ')
    await first.until(({ text }) => text === 'one ')
    const readers = await Promise.all([resume(url, first.id), resume(url, first.id, 1), resume(url, first.id)])
    run.text('two')
    run.done()
    for (const reader of readers) await reader.end()
    expect(readers.map(({ text }) => text)).toEqual(['one two', 'two', 'one two'])
  })

  it('does not tell one reader that another has it all', async () => {
    const url = await start((await startGateway()).url)
    const { id, ids } = await (await chat(url, { mock })).end()
    for (let round = 0; round < 2; round++) {
      expect((await resume(url, id, ids.at(-1))).status).toBe(204)
      const late = await (await resume(url, id)).end()
      expect(late.text).toBe('Hello')
    }
  })

  it('does not tell of a stream that is no longer kept', async () => {
    const gateway = await startGateway({ retentionMs: 0 })
    const url = await start(gateway.url)
    const reader = await (await chat(url, { mock })).end()
    await expect.poll(async () => (await resume(gateway.url, reader.id)).status).toBe(410)
    expect((await resume(url, reader.id)).status).toBe(410)
  })

  it('lists the models in the form that is asked for', async () => {
    const url = await start((await startGateway()).url)
    const list = async (headers: Record<string, string> = {}) => (await open(`${url}/v1/models`, { headers })).end()
    for (let round = 0; round < 2; round++) {
      expect((await list()).json).toMatchObject({ object: 'list' })
      expect((await list({ 'anthropic-version': '2023-06-01' })).json).toMatchObject({ has_more: false })
    }
  })

  it.each([
    ['GET', '/healthz'],
    ['GET', '/readyz'],
    ['GET', '/metrics'],
    ['GET', '/v1/status'],
    ['GET', '/v1/models'],
    ['GET', '/v1/models/nope'],
    ['GET', '/v1/streams/nope'],
    ['GET', '/nope'],
    ['HEAD', '/v1/models'],
  ])('passes on every %s %s', async (method, path) => {
    const gateway = await startGateway()
    const url = await start(gateway.url)
    const ids = new Set<unknown>()
    for (let count = 0; count < 3; count++)
      ids.add((await (await open(url + path, { method })).end()).headers['x-request-id'])
    expect(ids.size).toBe(3)
  })
})
