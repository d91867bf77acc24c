import { describe, expect, it, onTestFinished } from 'vitest'
import type { Backplane } from '../../src/store/backplane/backplane.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { chat, open, resume } from '../support/reader.ts'
import { Outage, shareMemory, shareRedis } from '../support/nodes.ts'
import { findProgram } from '../support/programs.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

type Settings = Parameters<typeof startGateway>[0]

const BACKENDS = { memory: shareMemory, redis: shareRedis }

const backends = Object.entries(BACKENDS).filter(([name]) => name === 'memory' || findProgram('redis'))

const snapshot = async ({ url }: TestGateway, id: string) =>
  (await (await resume(url, id, 0, { headers: { accept: 'application/json' } })).end()).json

const readersOf = async ({ services }: TestGateway, id: string) => {
  const found = await services.store.find(id, 'anonymous')
  return found.status === 'found' ? found.log.readerCount.total : undefined
}

describe.each(backends)('with %s, a stream that runs on another node', (_, share) => {
  /** Two gateways that share a backplane; streams are created on the first. */
  async function setUp(settings: Settings = {}) {
    const shared = share(settings)
    const outage = new Outage()
    const provider = new ScriptedProvider()
    const start = async () =>
      startGateway(settings, { backplane: outage.of(await shared.connect()), providers: [provider] })
    const [owner, other] = [await start(), await start()]
    return { outage, provider, owner, other }
  }

  it('is read like one that runs here: from any cursor, while it grows, to its end', async () => {
    const { provider, owner, other } = await setUp()
    const created = await chat(owner.url, { model: 'scripted' })
    const run = await provider.nextRun()
    run.text('one ', 'two ')
    await created.until(({ text }) => text === 'one two ')
    const readers = [await resume(other.url, created.id), await resume(other.url, created.id, 1)]
    await readers[0]!.until(({ text }) => text === 'one two ')
    run.text('three')
    run.done()
    for (const reader of readers) await reader.end()
    await created.end()
    expect(readers.map(({ text }) => text)).toEqual(['one two three', 'two three'])
    expect(readers.map(({ dones }) => dones)).toEqual([created.dones, created.dones])
    expect(await snapshot(other, created.id)).toEqual(await snapshot(owner, created.id))
    expect((await resume(other.url, created.id, 4)).status).toBe(204)
  })

  it('is joined with the same Idempotency-Key', async () => {
    const { provider, owner, other } = await setUp()
    const headers = { 'idempotency-key': 'k' }
    const created = await chat(owner.url, { model: 'scripted' }, { headers })
    const run = await provider.nextRun()
    run.text('a')
    const joined = await chat(other.url, { model: 'scripted' }, { headers })
    await joined.until(({ text }) => text === 'a')
    run.done()
    expect((await joined.end()).id).toBe(created.id)
    expect(provider.runs).toHaveLength(1)
  })

  it('says which target answered', async () => {
    const { provider, owner, other } = await setUp()
    const body = { model: 'scripted', messages: [{ role: 'user', content: 'hi' }] }
    const headers = { 'idempotency-key': 'k' }
    const post = (gateway: TestGateway) => open(`${gateway.url}/v1/chat/completions`, { method: 'POST', body, headers })
    const answers = [post(owner)]
    const run = await provider.nextRun()
    answers.push(post(other))
    run.text('a')
    run.done()
    for (const answer of answers) expect((await answer).headers['sluice-target']).toBe('scripted/scripted')
  })

  it('goes on while it is read there alone, and is cancelled when those readers have left', async () => {
    const { provider, owner, other } = await setUp({ resumeWindowMs: 0 })
    const created = await chat(owner.url, { model: 'scripted' })
    const run = await provider.nextRun()
    const reader = await resume(other.url, created.id)
    await expect.poll(() => readersOf(owner, created.id)).toBe(2)
    created.cut()
    await expect.poll(() => readersOf(owner, created.id)).toBe(1)
    run.text('still here')
    await reader.until(({ text }) => text === 'still here')
    expect(run.signal.aborted).toBe(false)
    reader.cut()
    await run.aborted
  })

  it('is cancelled by DELETE, for all readers everywhere', async () => {
    const { provider, owner, other } = await setUp()
    const created = await chat(owner.url, { model: 'scripted' })
    const run = await provider.nextRun()
    const reader = await resume(other.url, created.id)
    const remove = () => open(`${other.url}/v1/streams/${created.id}`, { method: 'DELETE' })
    expect((await remove()).status).toBe(204)
    await run.aborted
    for (const each of [created, reader])
      expect((await each.end()).dones).toMatchObject([{ finish_reason: 'cancelled' }])
    expect((await remove()).status).toBe(204)
  })

  it('is not said to be cancelled when its node cannot be asked', async () => {
    const { outage, provider, owner, other } = await setUp()
    const created = await chat(owner.url, { model: 'scripted' })
    const run = await provider.nextRun()
    const reader = await resume(other.url, created.id)
    outage.begin()
    const answer = await (await open(`${other.url}/v1/streams/${created.id}`, { method: 'DELETE' })).end()
    expect(answer.json).toMatchObject({ status: 503, code: 'store_unavailable', retryable: true })
    expect([run.signal.aborted, reader.dones]).toEqual([false, []])
  })

  it('goes on for local readers during an outage, and for the others after it', async () => {
    const { outage, provider, owner, other } = await setUp()
    const created = await chat(owner.url, { model: 'scripted' })
    const run = await provider.nextRun()
    run.text('a')
    const reader = await resume(other.url, created.id)
    await reader.until(({ text }) => text === 'a')
    outage.begin()
    run.text('b')
    await created.until(({ text }) => text === 'ab')
    const resumed = await resume(owner.url, created.id, 1)
    await resumed.until(({ text }) => text === 'b')
    run.text('c')
    run.done()
    expect((await created.end()).text).toBe('abc')
    expect((await resumed.end()).text).toBe('bc')
    expect([reader.text, reader.dones]).toEqual(['a', []])
    outage.end()
    expect((await reader.end()).text).toBe('abc')
    expect(reader.dones).toEqual(created.dones)
  })

  it('is not unknown where its node cannot be asked', async () => {
    const { outage, owner, other } = await setUp()
    const { id } = await (await chat(owner.url, { mock: { text: 'a' } })).end()
    outage.begin()
    expect((await resume(other.url, id)).status).toBe(503)
    expect((await chat(other.url, { mock: { text: 'a' } })).status).toBe(503)
    expect((await open(`${other.url}/readyz`)).status).toBe(503)
  })

  it('is fed and counted again at a node that was away, though it never falls silent', async () => {
    const shared = share()
    const provider = new ScriptedProvider()
    const outage = new Outage()
    const start = async (backplane: Backplane) =>
      startGateway({ leaseMs: 300, resumeWindowMs: 0 }, { backplane, providers: [provider] })
    const owner = await start(await shared.connect())
    const other = await start(outage.of(await shared.connect()))
    const created = await chat(owner.url, { model: 'scripted' })
    const run = await provider.nextRun()
    const tokens = setInterval(() => run.text('x'), 5)
    onTestFinished(() => clearInterval(tokens))
    const reader = await resume(other.url, created.id)
    await expect.poll(() => readersOf(owner, created.id)).toBe(2)
    outage.begin()
    await expect.poll(() => readersOf(owner, created.id)).toBe(1)
    outage.end()
    await expect.poll(() => readersOf(owner, created.id)).toBe(2)
    created.cut()
    const seen = reader.text.length
    await reader.until(({ text }) => text.length > seen + 100)
    expect(run.signal.aborted).toBe(false)
    run.done()
    expect((await reader.end()).dones).toMatchObject([{ finish_reason: 'stop' }])
  })

  it('is read to its end at a node that drains meanwhile', async () => {
    const { provider, owner, other } = await setUp({ drainMs: 60_000 })
    const created = await chat(owner.url, { model: 'scripted' })
    const run = await provider.nextRun()
    run.text('a')
    const reader = await resume(other.url, created.id)
    await reader.until(({ text }) => text === 'a')
    const drained = other.drain()
    run.text('b')
    await reader.until(({ text }) => text === 'ab')
    run.done()
    expect((await reader.end()).dones).toMatchObject([{ finish_reason: 'stop' }])
    await drained
  })

  it('shows its end to all when it is deleted while it runs', async () => {
    const { provider, owner, other } = await setUp()
    const body = { model: 'scripted', input: 'hi', stream: true, background: true }
    const created = await open(`${owner.url}/v1/responses`, { method: 'POST', body })
    const run = await provider.nextRun()
    run.text('a')
    const reader = await resume(other.url, created.id)
    await reader.until(({ text }) => text === 'a')
    const address = `${owner.url}/v1/responses/${created.id.replace('str_', 'resp_')}`
    expect((await (await open(address, { method: 'DELETE' })).end()).status).toBe(200)
    expect((await reader.end()).dones).toMatchObject([{ finish_reason: 'cancelled' }])
    for (const { url } of [owner, other]) expect((await resume(url, created.id)).status).toBe(410)
  })

  it('cuts off readers of a copy that finds no room, and ends nothing', async () => {
    const { provider, owner, other } = await setUp({ storeMaxBytes: 1024 ** 2 })
    const created = await chat(owner.url, { model: 'scripted' })
    const run = await provider.nextRun()
    run.text('a')
    const reader = await resume(other.url, created.id)
    await reader.until(({ text }) => text === 'a')
    const held = other.services.budget.hold('prompts', '', 700 * 1024)
    run.text('x'.repeat(350_000))
    await reader.end()
    expect([reader.text, reader.dones, reader.complete]).toEqual(['a', [], false])
    held.release()
    const again = await resume(other.url, created.id, 1)
    run.done()
    expect([(await again.end()).text.length, again.dones.length]).toEqual([350_000, 1])
  })

  it('may be dropped there: it is still found', async () => {
    const { owner, other } = await setUp({ storeMaxBytes: 1024 ** 2 })
    const fields = { mock: { text: 'x'.repeat(400 * 1024), interval_ms: 0 } }
    const { id } = await (await chat(owner.url, fields)).end()
    for (let round = 0; round < 2; round++) {
      expect((await (await resume(other.url, id)).end()).text.length).toBe(400 * 1024)
      // Makes room for it.
      other.services.budget.hold('prompts', '', 700 * 1024).release()
      expect(other.services.store.bytes).toBe(0)
    }
  })
})
