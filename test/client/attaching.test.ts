import { describe, expect, it } from 'vitest'
import { FaultyNetwork } from '../support/faulty-network.ts'
import { startGateway } from '../support/gateway.ts'
import { open } from '../support/reader.ts'
import { clientOf, collect, forbidUnhandledRejections, HI, telling, Wire } from './harness.ts'

forbidUnhandledRejections()

/** Five frames, none of which merges with another: index 0 to 3, then `done`. */
const FRAMES = [
  ...[0, 1, 2, 3].map((choice) => ({ type: 'delta' as const, index: choice % 2, content: `${choice} ` })),
  { type: 'done' as const, finish_reason: 'length' as const },
]

async function startWithStream(settings: Parameters<typeof startGateway>[0] = {}) {
  const gateway = await startGateway(settings, { providers: [telling(FRAMES)] })
  const network = await FaultyNetwork.start(gateway.url)
  const client = clientOf(network)
  const stream = client.chat({ ...HI, model: 'telling' })
  await stream.final()
  return { gateway, network, client, id: await stream.id }
}

describe('attach', () => {
  it.each([0, 1, 2, 3, 4])('after event %i gets the events that follow it', async (after) => {
    const { client, id } = await startWithStream()
    const events = await collect(client.attach(id, { after }))
    expect(events.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5].slice(after))
  })

  it('after the very end gets no event again, and still knows how the stream ended', async () => {
    const { client, id, network } = await startWithStream()
    const wire = new Wire()
    const stream = client.attach(id, { after: 5, onActivity: wire.onActivity })
    expect(await collect(stream)).toEqual([])
    expect(await stream.text()).toBe('')
    expect(await stream.final()).toMatchObject({ finish_reason: 'length', provider: 'telling' })
    expect(wire.of('disconnect')).toMatchObject([{ reason: 'caught-up' }])
    expect(network.requests.entries.map(({ headers }) => headers['last-event-id'])).toEqual([undefined, '5', '4'])
  })

  it('after the very end of a stream that failed fails as it did', async () => {
    const gateway = await startGateway()
    const client = clientOf(gateway)
    const failing = client.chat({ ...HI, mock: { fail_at: 0 } })
    await expect(failing.text()).rejects.toMatchObject({ code: 'upstream_error' })
    const again = client.attach(await failing.id, { after: 1 })
    await expect(again.text()).rejects.toMatchObject({ code: 'upstream_error', retryable: true })
    await expect(collect(again)).rejects.toMatchObject({ code: 'upstream_error' })
  })

  it('survives cuts as any other reader', async () => {
    const { network, client, id } = await startWithStream()
    network.plan({ cut: { frames: 1 } }, { cut: { bytes: 0 } }, { cut: { frames: 1 } })
    const events = await collect(client.attach(id, { after: 1 }))
    expect(events.map(({ seq }) => seq)).toEqual([2, 3, 4, 5])
    expect(network.requests.entries.slice(1).map(({ headers }) => headers['last-event-id'])).toEqual([
      '1',
      '2',
      '2',
      '3',
    ])
  })

  it('to a stream that has expired fails with `stream_expired`', async () => {
    const { gateway, client, id } = await startWithStream({ storeMaxBytes: 80_000 })
    // Finished streams make room for new ones.
    while ((await open(`${gateway.url}/v1/streams/${id}`)).status !== 410)
      await client.chat({ ...HI, model: 'telling' }).final()
    await expect(client.attach(id).text()).rejects.toMatchObject({
      code: 'stream_expired',
      status: 410,
      retryable: false,
    })
  })

  it('to a stream that there is not fails with `stream_not_found`', async () => {
    const { client, network } = await startWithStream()
    const stream = client.attach('../chat?x=1')
    await expect(stream.text()).rejects.toMatchObject({ code: 'stream_not_found', status: 404 })
    expect(network.requests.entries.at(-1)?.path).toBe('/v1/streams/chat?x=1')
    expect(await stream.id).toBe('../chat?x=1')
  })

  it('beyond the end fails and names the fault', async () => {
    const { client, id } = await startWithStream()
    await expect(client.attach(id, { after: 6 }).text()).rejects.toMatchObject({
      code: 'invalid_cursor',
      status: 400,
      faults: [{ path: 'Last-Event-ID' }],
    })
  })
})
