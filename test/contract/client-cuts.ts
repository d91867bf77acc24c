import { describe, expect, it } from 'vitest'
import type { NetworkFault } from '../support/faulty-network.ts'
import { startGateway } from '../support/gateway.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { HI, telling, words, type Wire } from '../client/harness.ts'
import {
  expectNothingMore,
  expectWhole,
  openClient,
  type ClientRuntime,
  type ClientUnderTest,
  type DrivenStream,
} from '../support/client-runtime.ts'

const TOKENS = ['Zü', 'rich ', 'is ', '🌍', 'n', 'o ', 'l', 'onger ', 'far', ' 👩‍👩‍👧']
const TEXT = TOKENS.join('')

/** After each connection that was lost, what followed its last frame; before the first byte, the same request again. */
function expectedRequests(wire: Wire): [string, number][] {
  const requests: [string, number][] = [['POST', 0]]
  let [method, after] = ['POST', 0]
  for (const activity of wire.entries) {
    if (activity.type === 'bytes') method = 'GET'
    if (activity.type === 'frame') after = activity.event.seq
    if (activity.type === 'reconnect') requests.push([method, after])
  }
  return requests
}

/** What a client makes of connections that are cut, wherever it runs. */
export function clientCuts(runtime: ClientRuntime): void {
  describe(`in ${runtime.name}, a connection that is cut`, () => {
    async function startScripted() {
      const provider = new ScriptedProvider()
      const gateway = await startGateway({}, { providers: [provider] })
      return { provider, client: await openClient(runtime, gateway.url) }
    }

    /** A stream whose every token leaves in a frame of its own: the next is told when the last has been read. */
    async function readTokenByToken(client: ClientUnderTest, provider: ScriptedProvider): Promise<DrivenStream> {
      const stream = await client.start({ chat: { ...HI, model: 'scripted' }, backoffMs: 0 })
      const run = await provider.nextRun()
      for (const [index, token] of TOKENS.entries()) {
        await stream.wire.untilCount('frame', index)
        run.text(token)
      }
      run.done()
      await expectWhole(stream, TEXT)
      return stream
    }

    it('after each token index, up to right after `done`: the rest follows, nothing twice', async () => {
      const { provider, client } = await startScripted()
      for (let frames = 0; frames <= TOKENS.length + 1; frames += 1) {
        client.network.plan({ cut: { frames } })
        const { wire } = await readTokenByToken(client, provider)
        expect(wire.of('request').map(({ method, after }) => [method, after])).toEqual(expectedRequests(wire))
        // What a browser has received it may throw away when the connection breaks: `done` is asked for again then.
        if (frames <= TOKENS.length) expect(wire.of('disconnect')).toHaveLength(1)
        await expectNothingMore(client)
      }
      expect(provider.runs).toHaveLength(TOKENS.length + 2)
    })

    it('after every single token: as many connections as tokens, and still each token once', async () => {
      const { provider, client } = await startScripted()
      client.network.plan(...TOKENS.map(() => ({ cut: { frames: 1 } })))
      const { wire } = await readTokenByToken(client, provider)
      expect(wire.of('request')).toHaveLength(TOKENS.length + 1)
      expect(provider.runs).toHaveLength(1)
      await expectNothingMore(client)
    })

    it('within its first line, its headers, a frame or a character: same text, one run each', async () => {
      const provider = telling(words(...TOKENS))
      const gateway = await startGateway({ retentionMs: 600_000 }, { providers: [provider] })
      const client = await openClient(runtime, gateway.url)
      let [streams, bytes] = [0, 0]
      // The first line byte by byte, and then steps of a prime, which meet every part of a frame.
      for (let whole = false; !whole; bytes += bytes < 20 ? 1 : 7, streams += 1) {
        client.network.plan({ cut: { bytes } })
        const stream = await client.start({ chat: { ...HI, model: 'telling' }, backoffMs: 0 })
        await expectWhole(stream, TEXT)
        const methods = stream.wire.of('request').map(({ method }) => method)
        whole = methods.length === 1
        // Not from the browser's own pool, where a lost request is repeated by the browser itself.
        client.network.cut()
      }
      // Headers, and a frame around all of the text.
      expect(bytes).toBeGreaterThan(600)
      expect(provider.runs).toBe(streams)
    })

    it.each<[string, NetworkFault]>([
      ['before the gateway hears of the request', { cut: 'request' }],
      ['before the headers', { cut: { bytes: 0 } }],
      ['in the headers', { cut: { bytes: 60 } }],
    ])('%s, three times: asked for with the same key, and paid for once', async (_, fault) => {
      const provider = telling(words('paid ', 'once'))
      const gateway = await startGateway({}, { providers: [provider] })
      const client = await openClient(runtime, gateway.url)
      client.network.plan(fault, fault, fault)
      const stream = await client.start({ chat: { ...HI, model: 'telling' }, backoffMs: 0 })
      await expectWhole(stream, 'paid once')
      expect(provider.runs).toBe(1)
      const asked = client.network.requests.entries.map(({ method, headers }) => [method, headers['idempotency-key']])
      expect(asked).toHaveLength(4)
      expect(new Set(asked.map(String)).size).toBe(1)
      await expectNothingMore(client)
    })

    it('in good order, as by a proxy that gives up, is no end either', async () => {
      const { provider, client } = await startScripted()
      const stream = await client.start({ chat: { ...HI, model: 'scripted' }, backoffMs: 0 })
      const run = await provider.nextRun()
      run.text('one ')
      await stream.wire.untilCount('frame', 1)
      const headers = { 'content-type': 'text/event-stream' }
      client.network.plan({ answer: { status: 200, headers, body: 'retry: 1000\n\nid: 2\nevent: delta\ndata: {"con' } })
      client.network.cut()
      await stream.wire.untilCount('disconnect', 2)
      run.text('two')
      run.done()
      await expectWhole(stream, 'one two')
      await expectNothingMore(client)
    })
  })
}
