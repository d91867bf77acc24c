import { describe, expect, it } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { resume } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { HI } from '../client/harness.ts'
import {
  expectFailed,
  expectNothingMore,
  expectWhole,
  openClient,
  type ClientRuntime,
} from '../support/client-runtime.ts'

const SCRIPTED = { ...HI, model: 'scripted' }
const ABORTED = { name: 'AbortError' }
/** Longer than any test. */
const NEVER_MS = 2 ** 30

/** What an abort does in every phase of a stream, wherever the client runs. */
export function clientLeaving(runtime: ClientRuntime): void {
  describe(`in ${runtime.name}, an abort`, () => {
    async function setUp() {
      const provider = new ScriptedProvider()
      const gateway = await startGateway({}, { providers: [provider] })
      return { provider, gateway, client: await openClient(runtime, gateway.url) }
    }

    it('before the headers closes the connection', async () => {
      const { client } = await setUp()
      client.network.plan({ hang: { bytes: 0 } })
      const stream = await client.start({ chat: SCRIPTED })
      const [request] = await client.network.requests.until(({ length }) => length === 1)
      await stream.abort()
      await expectFailed(stream, '', ABORTED)
      await request!.closed
      await expectNothingMore(client)
    })

    it('after the headers closes the connection', async () => {
      const { client } = await setUp()
      const stream = await client.start({ chat: SCRIPTED })
      await stream.wire.untilCount('response', 1)
      await stream.abort()
      await expectFailed(stream, '', ABORTED)
      await client.network.requests.entries[0]!.closed
      await expectNothingMore(client)
    })

    it('in the middle of the text closes the connection, and leaves the stream to others', async () => {
      const { client, provider, gateway } = await setUp()
      const stream = await client.start({ chat: SCRIPTED })
      const run = await provider.nextRun()
      run.text('one ')
      await stream.wire.untilCount('frame', 1)
      await stream.abort()
      await expectFailed(stream, 'one ', ABORTED)
      await client.network.requests.entries[0]!.closed
      expect(run.signal.aborted).toBe(false)
      run.text('two')
      run.done()
      const { id = '' } = await stream.outcome()
      expect((await (await resume(gateway.url, id)).end()).text).toBe('one two')
      await expectNothingMore(client)
    })

    it('while it waits to reconnect ends the wait', async () => {
      const { client, provider } = await setUp()
      const stream = await client.start({ chat: SCRIPTED, backoffMs: NEVER_MS })
      ;(await provider.nextRun()).text('one ')
      await stream.wire.untilCount('frame', 1)
      client.network.cut()
      await stream.wire.untilCount('reconnect', 1)
      await stream.abort()
      await expectFailed(stream, 'one ', ABORTED)
      expect(stream.wire.of('request')).toHaveLength(1)
      await expectNothingMore(client)
    })

    it('while it waits for `Retry-After` ends the wait', async () => {
      const { client } = await setUp()
      client.network.plan({ answer: { status: 503, headers: { 'retry-after': '59' } } })
      const stream = await client.start({ chat: SCRIPTED })
      await stream.wire.untilCount('reconnect', 1)
      await stream.abort()
      await expectFailed(stream, '', ABORTED)
      await expectNothingMore(client)
    })

    it('after the end changes nothing', async () => {
      const { client, provider } = await setUp()
      const stream = await client.start({ chat: SCRIPTED })
      const run = await provider.nextRun()
      run.text('the end')
      run.done()
      await stream.wire.untilCount('end', 1)
      await stream.abort()
      await expectWhole(stream, 'the end')
      await expectNothingMore(client)
    })
  })
}
