import { describe, expect, it } from 'vitest'
import type { ChatEvent } from '../../src/client/index.ts'
import { FaultyNetwork, type NetworkFault } from '../support/faulty-network.ts'
import { startGateway } from '../support/gateway.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { clientOf, collect, forbidUnhandledRejections, HI, telling, Wire, words } from './harness.ts'

const TOKENS = ['Zü', 'rich ', 'is ', '🌍', 'n', 'o ', 'l', 'onger ', 'far', ' 👩‍👩‍👧']
const TEXT = TOKENS.join('')

forbidUnhandledRejections()

/** A stream whose every token leaves in a frame of its own: the next is told when the last has been read. */
async function readTokenByToken(faults: NetworkFault[]): Promise<{ events: ChatEvent[]; wire: Wire; runs: number }> {
  const provider = new ScriptedProvider()
  const network = await FaultyNetwork.start((await startGateway({}, { providers: [provider] })).url)
  network.plan(...faults)
  const wire = new Wire()
  const stream = clientOf(network).chat({ ...HI, model: 'scripted' }, wire)
  const run = await provider.nextRun()
  for (const [index, token] of TOKENS.entries()) {
    await wire.untilCount('frame', index)
    run.text(token)
  }
  run.done()
  const events = await collect(stream)
  return { events, wire, runs: provider.runs.length }
}

function expectWhole(events: ChatEvent[]): void {
  expect(events.map((event) => (event.type === 'delta' ? event.content : event.finish_reason))).toEqual([
    ...TOKENS,
    'stop',
  ])
  expect(events.map(({ seq }) => seq)).toEqual([...TOKENS, 'done'].map((_, index) => index + 1))
}

describe('a connection that is cut', () => {
  it.each([...TOKENS.keys()])('after %i tokens: the rest follows, nothing twice', async (frames) => {
    const { events, wire, runs } = await readTokenByToken([{ cut: { frames } }])
    expectWhole(events)
    expect(wire.of('request')).toMatchObject([
      { method: 'POST', after: 0 },
      // Without a token it is not known either whether the headers were whole.
      { method: frames ? 'GET' : 'POST', after: frames },
    ])
    expect(runs).toBe(1)
  })

  it('after every single token: as many connections as tokens, and still each token once', async () => {
    const { events, wire } = await readTokenByToken(TOKENS.map(() => ({ cut: { frames: 1 } })))
    expectWhole(events)
    expect(wire.of('request').map(({ after }) => after)).toEqual([...TOKENS, 'done'].map((_, index) => index))
  })

  it('right after `done`: nothing is asked again', async () => {
    const { events, wire } = await readTokenByToken([{ cut: { frames: TOKENS.length + 1 } }])
    expectWhole(events)
    await wire.untilCount('end', 1)
    expect(wire.of('request')).toHaveLength(1)
  })

  it('at every byte of the events, and at every fifth of the headers: same text, one run each', async () => {
    const provider = telling(words(...TOKENS))
    const gateway = await startGateway({ retentionMs: 600_000 }, { providers: [provider] })
    const network = await FaultyNetwork.start(gateway.url)
    let [streams, bytes, resumed] = [0, 0, 0]
    for (let whole = false; !whole; streams += 1) {
      network.plan({ cut: { bytes } })
      const wire = new Wire()
      expect(
        await clientOf(network)
          .chat({ ...HI, model: 'telling' }, wire)
          .text(),
      ).toBe(TEXT)
      const methods = wire.of('request').map(({ method }) => method)
      whole = methods.length === 1
      if (methods.includes('GET')) resumed += 1
      bytes += methods.includes('GET') ? 1 : 5
      network.cut()
    }
    expect(resumed).toBeGreaterThan(Buffer.byteLength(TEXT))
    expect(provider.runs).toBe(streams)
  })
})

describe('a connection that is slow', () => {
  it('may bring its bytes one by one', async () => {
    const gateway = await startGateway({}, { providers: [telling(words(...TOKENS))] })
    const bytes = () =>
      new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          for (const byte of chunk) controller.enqueue(Uint8Array.of(byte))
        },
      })
    const client = clientOf(gateway, {
      async fetch(input, init) {
        const { body, status, headers } = await fetch(input, init)
        return new Response(body?.pipeThrough(bytes()) ?? null, { status, headers })
      },
    })
    expect(await client.chat({ ...HI, model: 'telling' }).text()).toBe(TEXT)
  })
})

describe('a first answer that is lost', () => {
  it.each<[string, NetworkFault]>([
    ['before its headers', { cut: { bytes: 0 } }],
    ['in its headers', { cut: { bytes: 60 } }],
  ])('%s is asked for with the same key, and not paid twice', async (_, fault) => {
    const provider = telling(words('paid ', 'once'))
    const network = await FaultyNetwork.start((await startGateway({}, { providers: [provider] })).url)
    network.plan(fault, fault, fault)
    const stream = clientOf(network).chat({ ...HI, model: 'telling' })
    expect(await stream.text()).toBe('paid once')
    expect(provider.runs).toBe(1)
    const keys = network.requests.entries.map(({ method, headers }) => [method, headers['idempotency-key']])
    expect(new Set(keys.map(String)).size).toBe(1)
    expect(keys).toHaveLength(4)
    expect(keys[0]).toEqual(['POST', expect.stringMatching(/^\d+-\d+$/)])
  })

  it('may also be a request that was never delivered', async () => {
    const provider = telling(words('once'))
    const network = await FaultyNetwork.start((await startGateway({}, { providers: [provider] })).url)
    network.plan({ cut: 'request' })
    expect(
      await clientOf(network)
        .chat({ ...HI, model: 'telling' })
        .text(),
    ).toBe('once')
    expect(provider.runs).toBe(1)
  })

  it('has a key of its own for every chat, unless it is given one', async () => {
    const network = await FaultyNetwork.start((await startGateway()).url)
    const client = clientOf(network)
    const body = { ...HI, mock: { text: 'x', interval_ms: 0 } }
    const [first, second] = [client.chat(body), client.chat(body)]
    expect(await first.id).not.toBe(await second.id)
    const idempotencyKey = 'job 17'
    const [third, fourth] = [client.chat(body, { idempotencyKey }), client.chat(body, { idempotencyKey })]
    expect(await third.id).toBe(await fourth.id)
    await Promise.all([first, second, third, fourth].map((stream) => stream.text()))
  })

  it('in its headers, of which Chromium makes an empty response, is asked for again: half an id is none', async () => {
    const provider = telling(words('once'))
    const network = await FaultyNetwork.start((await startGateway({}, { providers: [provider] })).url)
    const type = 'text/event-stream'
    network.plan(
      { answer: { status: 200 } },
      { answer: { status: 200, headers: { 'content-type': type.slice(0, 6) } } },
      { answer: { status: 200, headers: { 'content-type': type, 'sluice-stream-id': 'half-an-i' } } },
    )
    const stream = clientOf(network).chat({ ...HI, model: 'telling' })
    expect(await stream.text()).toBe('once')
    expect(await stream.id).not.toBe('half-an-i')
    expect(network.requests.entries.map(({ method }) => method)).toEqual(['POST', 'POST', 'POST', 'POST'])
  })

  it('in its first line, of which Chromium makes a status of two digits, is asked for again', async () => {
    const gateway = await startGateway({}, { providers: [telling(words('once'))] })
    const statuses = [2, 20, 50]
    const client = clientOf(gateway, {
      async fetch(input, init) {
        const status = statuses.shift()
        return status ? Object.defineProperty(new Response(''), 'status', { value: status }) : fetch(input, init)
      },
    })
    expect(await client.chat({ ...HI, model: 'telling' }).text()).toBe('once')
    expect(statuses).toEqual([])
  })
})
