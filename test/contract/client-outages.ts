import { describe, expect, it } from 'vitest'
import type { Activity } from '../../src/client/index.ts'
import { startGateway } from '../support/gateway.ts'
import { startSluice } from '../support/process.ts'
import { open } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { HI, telling, words } from '../client/harness.ts'
import {
  expectFailed,
  expectNothingMore,
  expectWhole,
  openClient,
  type ClientRuntime,
} from '../support/client-runtime.ts'

const SCRIPTED = { ...HI, model: 'scripted' }

/** What a client makes of gateways that are gone, busy or silent, wherever it runs. */
export function clientOutages(runtime: ClientRuntime): void {
  async function startScripted(settings: Parameters<typeof startGateway>[0] = {}) {
    const provider = new ScriptedProvider()
    const gateway = await startGateway(settings, { providers: [provider] })
    return { provider, gateway, client: await openClient(runtime, gateway.url) }
  }

  describe(`in ${runtime.name}, a gateway that is restarted on its port in mid-stream`, () => {
    const HALF = { ...HI, mock: { text: 'half a sentence', interval_ms: 1, stall_at: 2 } }

    async function restart(signal: 'SIGTERM' | 'SIGKILL') {
      const before = await startSluice({ env: { DRAIN_MS: '0' } })
      const client = await openClient(runtime, before.url)
      const stream = await client.start({ chat: HALF, backoffMs: 20, maxAttempts: 10_000 })
      await stream.wire.untilCount('frame', 1)
      await stream.wire.until(() => textOf(stream.wire.entries) === 'half a')
      before.kill(signal)
      await before.exited
      await startSluice({ env: { PORT: new URL(before.url).port } })
      return { client, stream }
    }

    it('and had no time to say so: one failure, `stream_lost`, that may be retried', async () => {
      const { client, stream } = await restart('SIGKILL')
      const error = { code: 'stream_lost', status: 404, retryable: true }
      await expectFailed(stream, 'half a', error)
      await expectNothingMore(client)
    })

    it('in good order: one failure, `gateway_shutdown`, that may be retried', async () => {
      const { client, stream } = await restart('SIGTERM')
      await expectFailed(stream, 'half a', { code: 'gateway_shutdown', status: undefined, retryable: true })
      expect(stream.wire.of('request')).toHaveLength(1)
      await expectNothingMore(client)
    })
  })

  describe(`in ${runtime.name}, a client that is offline`, () => {
    it('in mid-stream goes on when it is back, with all it has missed', async () => {
      const { provider, client } = await startScripted()
      const stream = await client.start({ chat: SCRIPTED, backoffMs: 1, maxAttempts: 10_000 })
      const run = await provider.nextRun()
      run.text('one ')
      await stream.wire.untilCount('frame', 1)
      await client.network.offline()
      run.text('two ', 'three')
      run.done()
      await stream.wire.untilCount('reconnect', 5)
      await client.network.online()
      await expectWhole(stream, 'one two three')
      expect(provider.runs).toHaveLength(1)
      await expectNothingMore(client)
    })
  })

  describe(`in ${runtime.name}, a gateway that takes no more`, () => {
    const problem = (status: number, code: string) => ({
      answer: {
        status,
        headers: { 'content-type': 'application/problem+json', 'retry-after': '1' },
        body: JSON.stringify({ title: 'x', status, code, detail: 'Too much.', retryable: true }),
      },
    })

    it.each([
      [503, 'store_full'],
      [429, 'rate_limited'],
    ])('with %i is asked again with the same key, once `Retry-After` is over', async (status, code) => {
      const provider = telling(words('at last'))
      const gateway = await startGateway({}, { providers: [provider] })
      const client = await openClient(runtime, gateway.url)
      client.network.plan(problem(status, code), problem(status, code))
      const stream = await client.start({ chat: { ...HI, model: 'telling' }, backoffMs: 0 })
      await expectWhole(stream, 'at last')
      expect(stream.wire.of('reconnect')).toMatchObject([{ delayMs: 1000 }, { delayMs: 1000 }])
      expect(stream.wire.of('disconnect')).toMatchObject([{ error: { code, status } }, { error: { code, status } }])
      const keys = client.network.requests.entries.map(({ headers }) => headers['idempotency-key'])
      expect([keys.length, new Set(keys).size, provider.runs]).toEqual([3, 1, 1])
      await expectNothingMore(client)
    })
  })

  describe(`in ${runtime.name}, a stream that is no longer kept`, () => {
    it('cannot be joined: one failure, `stream_expired`', async () => {
      const gateway = await startGateway({ storeMaxBytes: 80_000 }, { providers: [telling(words('gone'))] })
      const client = await openClient(runtime, gateway.url)
      const first = await client.start({ chat: { ...HI, model: 'telling' } })
      const { id = '' } = await first.outcome()
      // Finished streams make room for new ones.
      while ((await open(`${gateway.url}/v1/streams/${id}`)).status !== 410)
        await (await client.start({ chat: { ...HI, model: 'telling' } })).outcome()
      const stream = await client.start({ attach: id, options: { after: 1 }, backoffMs: 0 })
      await expectFailed(stream, '', { code: 'stream_expired', status: 410, retryable: false })
      expect(stream.wire.of('request')).toHaveLength(1)
      await expectNothingMore(client)
    })
  })

  describe(`in ${runtime.name}, a half-open connection`, () => {
    it('in mid-stream is noticed by its missing heartbeats alone', async () => {
      const { provider, client } = await startScripted({ heartbeatMs: 100 })
      const stream = await client.start({ chat: SCRIPTED, heartbeatMs: 100, backoffMs: 0 })
      const run = await provider.nextRun()
      run.text('one ')
      await stream.wire.untilCount('frame', 1)
      client.network.hang()
      run.text('two ', 'three')
      run.done()
      await expectWhole(stream, 'one two three')
      expect(stream.wire.of('disconnect')[0]).toMatchObject({ reason: 'silent' })
      await expectNothingMore(client)
    })

    it('before the headers is noticed as well, and not paid twice', async () => {
      const provider = telling(words('once'))
      const gateway = await startGateway({}, { providers: [provider] })
      const client = await openClient(runtime, gateway.url)
      client.network.plan({ hang: { bytes: 0 } }, { hang: 'request' })
      const stream = await client.start({ chat: { ...HI, model: 'telling' }, heartbeatMs: 100, backoffMs: 0 })
      await expectWhole(stream, 'once')
      expect(stream.wire.of('disconnect').slice(0, 2)).toMatchObject([{ reason: 'silent' }, { reason: 'silent' }])
      expect(provider.runs).toBe(1)
      await expectNothingMore(client)
    })
  })
}

function textOf(entries: readonly Activity[]): string {
  const events = entries.flatMap((entry) => (entry.type === 'frame' ? entry.event : []))
  return events.map((event) => (event.type === 'delta' ? (event.content ?? '') : '')).join('')
}
