import { describe, expect, it } from 'vitest'
import type { Config } from '../../src/config.ts'
import type { GatewayOptions } from '../../src/gateway.ts'
import type { Delta, Done, StreamEvent } from '../../src/stream/events.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { chat, open, resume, type Reader } from '../support/reader.ts'
import { ScriptedProvider, type Run } from '../support/scripted-provider.ts'

/** What the streams of a gateway are kept in. */
export type StoreBackend = (settings: Partial<Config>) => GatewayOptions | Promise<GatewayOptions>

const STOP: Done = { type: 'done', finish_reason: 'stop' }
const FAILED: Done = {
  type: 'done',
  finish_reason: 'error',
  error: { code: 'upstream_error', message: '…', retryable: true },
}
const text = (content: string): Delta => ({ type: 'delta', content })

/** Short enough to be waited for, and long enough to read a stream within it. */
const RETENTION_MS = 400

/**
 * What every store of streams does, as clients see it. Over HTTP and in real time, so that it holds for stores in
 * other processes, too. What has no URL, such as owners, is asked of the gateway's store.
 */
export function describeStreamStore(name: string, backend: StoreBackend): void {
  describe(`${name}: a store of streams`, () => {
    async function setUp(settings: Partial<Config> = {}) {
      const provider = new ScriptedProvider()
      const gateway = await startGateway(settings, { ...(await backend(settings)), providers: [provider] })

      /** Creates a stream and says what its provider says. */
      async function create(events: StreamEvent[] = [], headers = {}, fields = {}) {
        const reader = await chat(gateway.url, { model: 'scripted', ...fields }, { headers })
        const run: Run = await provider.nextRun()
        run.yield(...events)
        if (events.some(({ type }) => type === 'done')) await reader.end()
        return { reader, run, id: reader.id }
      }

      return { provider, gateway, create }
    }

    const post = (gateway: TestGateway, headers: Record<string, string>, fields = {}) =>
      chat(gateway.url, { model: 'scripted', ...fields }, { headers })
    const whole = async (reader: Promise<Reader>) => (await reader).end()
    const statusOf = async ({ url }: TestGateway, id: string) => (await open(`${url}/v1/streams/${id}`)).status
    const untilExpired = (gateway: TestGateway, id: string) =>
      expect.poll(() => statusOf(gateway, id), { timeout: 10_000 }).toBe(410)

    describe('finding', () => {
      it('finds a stream with what it was created for and what is in it', async () => {
        const { gateway, create } = await setUp()
        const { id } = await create([text('a'), text('b'), STOP])
        const headers = { accept: 'application/json' }
        const { json } = await whole(resume(gateway.url, id, 0, { headers }))
        expect(json).toMatchObject({ id, model: 'scripted', provider: 'scripted', message: { content: 'ab' } })
        expect((await whole(resume(gateway.url, id, 0, { headers }))).json).toEqual(json)
      })

      it('brings the rest of a stream from any cursor, while it runs and when it has ended', async () => {
        const { gateway, create } = await setUp()
        const { id, run, reader } = await create([text('a'), text('b')])
        await reader.until((each) => each.text === 'ab')
        const readers = await Promise.all([0, 1, 2].map((cursor) => resume(gateway.url, id, cursor)))
        run.text('c')
        run.done()
        for (const [cursor, each] of readers.entries()) expect((await each.end()).text).toBe('abc'.slice(cursor))
        for (const cursor of [0, 1, 2, 3])
          expect((await whole(resume(gateway.url, id, cursor))).text).toBe('abc'.slice(cursor))
        expect((await resume(gateway.url, id, 4)).status).toBe(204)
      })

      it('gives each stream an id of its own that fits in a URL', async () => {
        const { create } = await setUp()
        const ids = (await Promise.all(Array.from({ length: 20 }, () => create()))).map(({ id }) => id)
        expect(new Set(ids).size).toBe(20)
        for (const id of ids) expect(id).toMatch(/^[\w-]{20,64}$/)
      })

      it('knows nothing of an id that never was', async () => {
        const { gateway } = await setUp()
        expect(await statusOf(gateway, 'str_none')).toBe(404)
      })

      it('shows someone else’s stream to nobody, running or finished or expired', async () => {
        const { gateway, create } = await setUp({ retentionMs: RETENTION_MS })
        const { id, run, reader } = await create()
        const findAs = async (owner: string) => (await gateway.services.store.find(id, owner)).status
        expect([await findAs('anonymous'), await findAs('bob')]).toEqual(['found', 'unknown'])
        run.done()
        await reader.end()
        expect(await findAs('bob')).toBe('unknown')
        await untilExpired(gateway, id)
        expect([await findAs('anonymous'), await findAs('bob')]).toEqual(['expired', 'unknown'])
      })
    })

    describe('the same Idempotency-Key', () => {
      const key = { 'idempotency-key': 'k' }

      it('joins the stream that it began, running or finished', async () => {
        const { gateway, create, provider } = await setUp()
        const { id, run } = await create([text('a')], key)
        const joined = await post(gateway, key)
        run.done()
        expect([joined.id, (await joined.end()).text]).toEqual([id, 'a'])
        const later = await whole(post(gateway, key))
        expect([later.id, later.text]).toEqual([id, 'a'])
        expect(provider.runs).toHaveLength(1)
      })

      it('begins one stream, though it is used several times at once', async () => {
        const { gateway, provider } = await setUp()
        const readers = await Promise.all(Array.from({ length: 5 }, () => post(gateway, key)))
        expect(new Set(readers.map(({ id }) => id)).size).toBe(1)
        const run = await provider.nextRun()
        run.text('a')
        run.done()
        for (const reader of readers) expect((await reader.end()).text).toBe('a')
        expect(provider.runs).toHaveLength(1)
      })

      it('is refused for another request', async () => {
        const { gateway, create } = await setUp()
        await create([STOP], key)
        const refused = await whole(post(gateway, key, { temperature: 1 }))
        expect(refused.json).toMatchObject({
          status: 422,
          code: 'idempotency_conflict',
          errors: [{ path: 'Idempotency-Key' }],
        })
      })

      it.each<Done>([{ type: 'done', finish_reason: 'cancelled' }, FAILED])(
        'begins another stream when the first ended with $finish_reason',
        async (done) => {
          const { create } = await setUp()
          const first = await create([text('a'), done], key)
          const second = await create([text('b'), STOP], key)
          expect(second.id).not.toBe(first.id)
          expect(second.reader.text).toBe('b')
        },
      )

      it('begins a new stream once the first is gone, for any request', async () => {
        const { gateway, create } = await setUp({ retentionMs: RETENTION_MS })
        const first = await create([STOP], key)
        await untilExpired(gateway, first.id)
        const second = await create([STOP], key, { temperature: 1 })
        expect(second.id).not.toBe(first.id)
      })

      it('is another key when someone else uses it, whatever the names', async () => {
        const { gateway } = await setUp()
        const init = { model: 'm', provider: 'p' }
        const made = await Promise.all(
          [
            ['a', '","b'],
            ['a","', 'b'],
            ['b', '","b'],
          ].map(([owner, ownKey]) =>
            gateway.services.store.create({
              ...init,
              owner: owner!,
              idempotency: { key: ownKey!, fingerprint: owner! },
            }),
          ),
        )
        expect(made.map(({ joined }) => joined)).toEqual([false, false, false])
      })
    })

    describe('an Idempotency-Key of a reader that resumes', () => {
      const key = { 'idempotency-key': 'k' }
      const resuming = { ...key, 'last-event-id': '1' }

      it.each<Done>([STOP, { type: 'done', finish_reason: 'cancelled' }, FAILED])(
        'joins a stream that ended with $finish_reason',
        async (done) => {
          const { gateway, create } = await setUp()
          const { id } = await create([text('a'), text('b'), done], key)
          const joined = await whole(post(gateway, resuming))
          expect([joined.id, joined.text]).toEqual([id, 'b'])
        },
      )

      it('begins no stream when there is none, or none any more', async () => {
        const { gateway, create, provider } = await setUp({ retentionMs: RETENTION_MS })
        const missing = { status: 404, code: 'stream_not_found' }
        expect((await whole(post(gateway, resuming))).json).toMatchObject(missing)
        const { id } = await create([STOP], key)
        await untilExpired(gateway, id)
        expect((await whole(post(gateway, resuming))).json).toMatchObject(missing)
        expect(provider.runs).toHaveLength(1)
      })
    })

    describe('an alias', () => {
      const init = { owner: 'ada', model: 'm', provider: 'p', alias: 'chat-1' }

      it('finds the newest stream of its owner that has it', async () => {
        const { store } = (await setUp()).gateway.services
        const find = async (owner: string) => {
          const found = await store.findByAlias('chat-1', owner)
          return found.status === 'found' ? found.log.info.id : found.status
        }
        expect(await find('ada')).toBe('unknown')
        const first = await store.create(init)
        expect([await find('ada'), await find('bob')]).toEqual([first.log.info.id, 'unknown'])
        const second = await store.create(init)
        expect(await find('ada')).toBe(second.log.info.id)
      })

      it('is gone with its stream', async () => {
        const { store } = (await setUp({ retentionMs: RETENTION_MS })).gateway.services
        const { log } = await store.create(init)
        log.append(STOP)
        await expect
          .poll(async () => (await store.findByAlias('chat-1', 'ada')).status, { timeout: 10_000 })
          .toBe('unknown')
      })
    })

    describe('retention', () => {
      it('begins with done, for each stream: one that runs never expires', async () => {
        const { gateway, create } = await setUp({ retentionMs: RETENTION_MS })
        const running = await create([text('a')])
        const finished = await create([STOP])
        expect(await statusOf(gateway, running.id)).toBe(200)
        await untilExpired(gateway, finished.id)
        expect(await statusOf(gateway, running.id)).toBe(200)
        running.run.done()
        await running.reader.end()
        await untilExpired(gateway, running.id)
        expect(await statusOf(gateway, finished.id)).toBe(410)
      })

      it('does not end for a reader that has begun', async () => {
        const { gateway, provider } = await setUp({ retentionMs: RETENTION_MS, slowReaderMs: 60_000 })
        const reader = await chat(gateway.url, { model: 'scripted' }, { paused: true })
        const run = await provider.nextRun()
        for (let i = 0; i < 40; i++) run.text('x'.repeat(100_000))
        run.done()
        await untilExpired(gateway, reader.id)
        reader.resume()
        expect((await reader.end()).text.length).toBe(4_000_000)
        expect(reader.dones).toMatchObject([{ finish_reason: 'stop' }])
      })
    })

    describe('cancelling', () => {
      it('ends a stream for all readers, and changes nothing when it has ended', async () => {
        const { gateway, create } = await setUp()
        const { id, run, reader } = await create([text('a')])
        const remove = async () => (await open(`${gateway.url}/v1/streams/${id}`, { method: 'DELETE' })).status
        expect(await remove()).toBe(204)
        await run.aborted
        expect((await reader.end()).dones).toMatchObject([{ finish_reason: 'cancelled' }])
        expect(await remove()).toBe(204)
        expect((await whole(resume(gateway.url, id))).dones).toHaveLength(1)
      })
    })
  })
}
