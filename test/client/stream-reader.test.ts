import { describe, expect, it } from 'vitest'
import { StreamReader, type StreamState } from '../../src/react/stream-reader.ts'
import { FaultyNetwork } from '../support/faulty-network.ts'
import { startGateway } from '../support/gateway.ts'
import { startInBackground, withKeys } from '../support/keys.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { Journal } from '../support/cutting-proxy.ts'
import { clientOf, forbidUnhandledRejections, HI } from './harness.ts'

forbidUnhandledRejections()

const SCRIPTED = { ...HI, model: 'scripted' }

async function setUp(settings: Parameters<typeof startGateway>[0] = {}) {
  const provider = new ScriptedProvider()
  const gateway = await startGateway(settings, { providers: [provider] })
  const network = await FaultyNetwork.start(gateway.url)
  const client = clientOf(network, { backoff: () => 5, maxAttempts: Infinity })
  const reader = new StreamReader()
  const states = new Journal<StreamState>()
  reader.subscribe(() => states.add(reader.getState()))
  const until = (wanted: (state: StreamState) => boolean) =>
    states.until((all) => {
      const last = all.at(-1)
      return last !== undefined && wanted(last)
    })
  const says = (text: string) => until(({ message }) => message?.content === text)
  return { provider, gateway, network, client, reader, states, until, says }
}

describe('the state of the stream that a component reads', () => {
  it('begins with nothing, and has the texts as they come and everything in the end', async () => {
    const { provider, client, reader, states, until, says } = await setUp()
    expect(reader.getState()).toEqual({ message: undefined, status: 'idle', error: undefined, id: undefined })
    const stream = reader.send(client, SCRIPTED)
    expect(reader.getState().status).toBe('connecting')
    const run = await provider.nextRun()
    run.yield({ type: 'delta', reasoning: 'Hm' })
    run.text('one ')
    await says('one ')
    expect(reader.getState()).toMatchObject({ status: 'streaming', id: await stream.id, message: { reasoning: 'Hm' } })
    const call = { id: 'c', type: 'function' as const, function: { name: 'find', arguments: '{}' } }
    run.yield({ type: 'delta', tool_calls: [{ index: 0, ...call }] })
    run.done()
    await until(({ status }) => status === 'finished')
    expect(reader.getState().message).toEqual((await stream.final()).message)
    expect(reader.getState().message?.tool_calls).toEqual([call])
    expect(new Set(states.entries.map(({ status }) => status))).toEqual(
      new Set(['connecting', 'streaming', 'finished']),
    )
  })

  it('has the id of the stream that another node starts, when the first had sent nothing', async () => {
    const { provider, gateway, network, client, reader, until } = await setUp()
    reader.send(client, SCRIPTED)
    await provider.nextRun()
    await until(({ id, status }) => id !== undefined && status === 'streaming')
    const { id } = reader.getState()
    const other = new ScriptedProvider()
    network.target = (await startGateway({}, { providers: [other] })).url
    await gateway.drain()
    ;(await other.nextRun()).done()
    await until(({ status }) => status === 'finished')
    expect(reader.getState().id).toMatch(/^str_/)
    expect(reader.getState().id).not.toBe(id)
  })

  it('is connecting again while the connection is lost', async () => {
    const { provider, network, client, reader, until, says } = await setUp()
    reader.send(client, SCRIPTED)
    const run = await provider.nextRun()
    run.text('one ')
    await says('one ')
    await network.offline()
    await until(({ status }) => status === 'connecting')
    expect(reader.getState().message?.content).toBe('one ')
    await network.online()
    await until(({ status }) => status === 'streaming')
    run.text('two')
    run.done()
    await says('one two')
  })

  it('names the failure, and keeps what has come', async () => {
    const { provider, client, reader, until, says } = await setUp()
    reader.send(client, SCRIPTED)
    const run = await provider.nextRun()
    run.text('one ')
    await says('one ')
    run.fail(new Error('a secret'))
    await until(({ status }) => status === 'failed')
    expect(reader.getState()).toMatchObject({ message: { content: 'one ' }, error: { code: 'provider_failed' } })
  })

  it('is that of the last stream; the one before is left, and runs on', async () => {
    const { provider, client, reader, says, until } = await setUp()
    reader.send(client, SCRIPTED)
    const first = await provider.nextRun()
    first.text('old')
    await says('old')
    reader.send(client, SCRIPTED)
    expect(reader.getState()).toMatchObject({ status: 'connecting', message: undefined, id: undefined })
    const second = await provider.nextRun()
    first.text('old, too')
    second.text('new')
    second.done()
    await until(({ status }) => status === 'finished')
    expect(reader.getState().message?.content).toBe('new')
    expect(first.signal.aborted).toBe(false)
  })

  it('says that the stream was stopped', async () => {
    const { provider, client, reader, says } = await setUp()
    await reader.stop()
    reader.send(client, SCRIPTED)
    const run = await provider.nextRun()
    run.text('half')
    await says('half')
    await reader.stop()
    expect(run.signal.aborted).toBe(true)
    await says('half')
    expect(reader.getState()).toMatchObject({ status: 'cancelled', message: { content: 'half' } })
  })
})

describe('a component that comes back', () => {
  it('goes on with its stream by the id, showing what it had', async () => {
    const { provider, network, client, reader, says, until } = await setUp()
    reader.send(client, SCRIPTED)
    const run = await provider.nextRun()
    run.text('one ')
    await says('one ')
    await until(({ id }) => id !== undefined)
    reader.leave()
    await network.requests.entries[0]!.closed
    expect(run.signal.aborted).toBe(false)
    run.text('two')
    reader.rejoin()
    expect(reader.getState()).toMatchObject({ status: 'connecting', message: { content: 'one ' } })
    run.done()
    await until(({ status }) => status === 'finished')
    expect(reader.getState().message?.content).toBe('one two')
    expect(network.requests.entries.map(({ method }) => method)).toEqual(['POST', 'GET'])
    reader.rejoin()
    expect(network.requests.entries).toHaveLength(2)
  })

  it('before there was an id asks with the same key, and does not pay twice', async () => {
    const { provider, network, client, reader, says } = await setUp()
    network.plan({ hang: { bytes: 0 } })
    reader.send(client, SCRIPTED)
    const run = await provider.nextRun()
    reader.leave()
    reader.rejoin()
    run.text('once')
    run.done()
    await says('once')
    expect(provider.runs).toHaveLength(1)
  })

  it('reads the stream of before a reload from its beginning', async () => {
    const { provider, client, reader, says } = await setUp()
    const other = client.chat(SCRIPTED)
    const run = await provider.nextRun()
    run.text('one ')
    reader.attach(client, await other.id)
    await says('one ')
    expect(reader.getState().id).toBe(await other.id)
    run.text('two')
    run.done()
    await says('one two')
    await other.final()
  })

  it('goes on with a stream that it reads by ticket', async () => {
    const { provider, gateway, network, client, reader, says, until } = await setUp(withKeys())
    const { url } = await startInBackground(gateway.url)
    reader.attach(client, url)
    const run = await provider.nextRun()
    run.text('one ')
    await says('one ')
    expect(reader.getState().id).toBe(url)
    reader.leave()
    await network.requests.entries[0]!.closed
    run.text('two')
    run.done()
    reader.rejoin()
    expect(reader.getState()).toMatchObject({ status: 'connecting', message: { content: 'one ' } })
    await until(({ status }) => status === 'finished')
    expect(reader.getState().message?.content).toBe('one two')
    expect(network.requests.entries.map(({ path }) => path)).toEqual([url, url])
  })
})
