import { describe, expect, it } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { chat, open, resume, type ReaderOptions } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

const KEY = { 'idempotency-key': 'k' }
const scripted = { model: 'scripted' }

async function setUp(settings: Parameters<typeof startGateway>[0] = {}) {
  const provider = new ScriptedProvider()
  const gateway = await startGateway(settings, { providers: [provider] })
  const post = (headers: Record<string, string>, query = '') => {
    const body = { messages: [{ role: 'user', content: 'hi' }], ...scripted }
    return open(`${gateway.url}/v1/chat${query}`, { method: 'POST', headers: { ...KEY, ...headers }, body })
  }
  return { provider, gateway, post }
}

describe('a POST that is repeated with a cursor', () => {
  it('goes on in a running stream without losing or repeating a token', async () => {
    const { provider, post } = await setUp()
    const first = await post({})
    const run = await provider.nextRun()
    run.text('one ')
    await first.until(({ text }) => text === 'one ')
    first.cut()
    run.text('two ')
    const second = await post({ 'last-event-id': '1' })
    await second.until(({ text }) => text === 'two ')
    run.text('three')
    run.done()
    expect((await second.end()).text).toBe('two three')
    expect(second.id).toBe(first.id)
    expect(provider.runs).toHaveLength(1)
  })

  it.each(['?lastEventId=1', '?last_event_id=1', '?lastEventId=&last_event_id=1', '?last_event_id=9&lastEventId=1'])(
    'may say it in its URL: %s',
    async (query) => {
      const { provider, post } = await setUp()
      const first = await post({})
      const run = await provider.nextRun()
      run.text('one ')
      await first.until(({ text }) => text === 'one ')
      run.text('two')
      run.done()
      await first.end()
      expect((await (await post({}, query)).end()).text).toBe('two')
    },
  )

  it.each<[how: string, headers: Record<string, string>, status: number]>([
    ['as JSON', { accept: 'application/json' }, 200],
    ['later', { prefer: 'respond-async' }, 202],
  ])('may want the answer %s, which has no cursor', async (_, headers, status) => {
    const { provider, post } = await setUp()
    const first = await post({})
    const run = await provider.nextRun()
    run.text('one')
    run.done()
    await first.end()
    const again = await (await post({ ...headers, 'last-event-id': '1' })).end()
    expect(again.status).toBe(status)
    expect(again.id).toBe(first.id)
  })

  it.each<[how: string, end: (run: Awaited<ReturnType<ScriptedProvider['nextRun']>>) => void]>([
    ['failed', (run) => run.end()],
    ['was cancelled', () => {}],
  ])('is told how its stream %s, and starts no other', async (_, end) => {
    const { provider, gateway, post } = await setUp()
    const first = await post({})
    const run = await provider.nextRun()
    run.text('one')
    await first.until(({ text }) => text === 'one')
    end(run)
    await (await open(`${gateway.url}/v1/streams/${first.id}`, { method: 'DELETE' })).end()
    const { dones } = await first.end()
    const again = await (await post({ 'last-event-id': '1' })).end()
    expect(again.dones).toEqual(dones)
    expect((await post({ 'last-event-id': '2' })).status).toBe(204)
    expect(provider.runs).toHaveLength(1)
  })

  it('is refused when its stream is no longer kept, for it would read another from the middle', async () => {
    const { provider, gateway, post } = await setUp()
    const refused = await (await post({ 'last-event-id': '1' })).end()
    expect(refused.json).toMatchObject({
      status: 404,
      code: 'stream_not_found',
      detail: expect.stringContaining('without Last-Event-ID'),
    })
    expect(provider.runs).toEqual([])
    expect(await gateway.metric('sluice_resumes_total{result="unknown"}')).toBe(1)
  })

  it.each(['abc', '-1', '1.5', '1, 2'])('is refused with a cursor that makes no sense: %s', async (cursor) => {
    const { provider, gateway, post } = await setUp()
    const first = await post({})
    const run = await provider.nextRun()
    run.done()
    await first.end()
    const refused = await (await post({ 'last-event-id': cursor })).end()
    expect(refused.json).toMatchObject({ code: 'invalid_cursor', errors: [{ path: 'Last-Event-ID' }] })
    expect(await gateway.metric('sluice_resumes_total{result="invalid"}')).toBe(1)
  })

  it('is refused with a cursor that makes no sense, also when its key is unknown', async () => {
    const { provider, post } = await setUp()
    expect((await (await post({ 'last-event-id': 'abc' })).end()).json).toMatchObject({ code: 'invalid_cursor' })
    expect(provider.runs).toEqual([])
  })

  it('is 204 behind a failure that was told within the stream, also where a failure is a status', async () => {
    const { provider, gateway } = await setUp({ sdkStatusWaitMs: 10, sdkResumeWindowMs: 60_000 })
    const post = (headers: Record<string, string> = {}) => {
      const body = { ...scripted, stream: true, messages: [{ role: 'user', content: 'hi' }] }
      return open(`${gateway.url}/v1/chat/completions`, { method: 'POST', headers: { ...KEY, ...headers }, body })
    }
    // The stream begins before anything is known.
    const first = await post()
    const run = await provider.nextRun()
    run.fail(new Error('broken'))
    await first.end()
    expect(first.ids).toEqual([1])
    expect((await post({ 'last-event-id': '1' })).status).toBe(204)
    expect((await post()).status).toBe(502)
  })

  it.each(['2', '0002', 'abc', '0'.repeat(16)])(
    'is refused without a key, which would pay twice: %s',
    async (cursor) => {
      const { provider, gateway } = await setUp()
      for (const [query, headers] of [
        ['', { 'last-event-id': cursor }],
        [`?lastEventId=${cursor}`, {}],
        [`?last_event_id=${cursor}`, {}],
      ] as [string, Record<string, string>][]) {
        const options: ReaderOptions = {
          method: 'POST',
          headers,
          body: { messages: [{ role: 'user', content: 'hi' }], ...scripted },
        }
        const refused = await (await open(`${gateway.url}/v1/chat${query}`, options)).end()
        expect(refused.json).toMatchObject({
          status: 400,
          retryable: false,
          errors: [{ path: 'Idempotency-Key', message: expect.stringContaining('is required with') }],
        })
      }
      expect(provider.runs).toEqual([])
    },
  )
})

describe('a cursor ahead of the log', () => {
  it('waits while the stream runs, and goes on behind it', async () => {
    const { provider, gateway } = await setUp()
    const first = await chat(gateway.url, scripted)
    const run = await provider.nextRun()
    run.text('one ')
    await first.until(({ text }) => text === 'one ')
    const ahead = await resume(gateway.url, first.id, 2)
    expect(ahead.status).toBe(200)
    run.text('two ')
    await first.until(({ text }) => text === 'one two ')
    run.text('three')
    run.done()
    await ahead.end()
    expect([ahead.text, ahead.ids]).toEqual(['three', [3, 4]])
  })

  it('is an error once the stream has ended before it', async () => {
    const { provider, gateway } = await setUp()
    const first = await chat(gateway.url, scripted)
    const run = await provider.nextRun()
    run.text('one')
    await first.until(({ text }) => text === 'one')
    const ahead = await resume(gateway.url, first.id, 9)
    run.done()
    await ahead.end()
    expect(ahead.messages).toEqual([])
    // A clean end without `done` looks like a whole answer to some SDKs.
    expect(ahead.complete).toBe(false)
    expect((await (await resume(gateway.url, first.id, 9)).end()).json).toMatchObject({ code: 'invalid_cursor' })
  })
})
