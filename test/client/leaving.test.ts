import { getEventListeners } from 'node:events'
import { Agent, setGlobalDispatcher } from 'undici'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Activity, ChatStream } from '../../src/client/index.ts'
import { LONGEST_TIMER_MS } from '../../src/client/waiting.ts'
import { FaultyNetwork } from '../support/faulty-network.ts'
import { startGateway } from '../support/gateway.ts'
import { chat, resume } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { clientOf, collect, forbidUnhandledRejections, HI, Wire } from './harness.ts'

forbidUnhandledRejections()

// In one process with the server, under the test runner, Node 20's own does not close the connection of an aborted
// fetch; in a process of its own it does, which test/contract/client-leaving.ts holds.
setGlobalDispatcher(new Agent())

const SCRIPTED = { ...HI, model: 'scripted' }

async function startScripted(settings: Parameters<typeof startGateway>[0] = {}) {
  const provider = new ScriptedProvider()
  const gateway = await startGateway(settings, { providers: [provider] })
  const network = await FaultyNetwork.start(gateway.url)
  return { provider, gateway, network }
}

/** The timers that are set for good and have not been cleared. */
function watchEndlessTimers(): Set<unknown> {
  const pending = new Set<unknown>()
  const { setTimeout, clearTimeout } = globalThis
  vi.stubGlobal('setTimeout', (callback: () => void, ms: number) => {
    const timer = setTimeout(callback, ms)
    if (ms === LONGEST_TIMER_MS) pending.add(timer)
    return timer
  })
  vi.stubGlobal('clearTimeout', (timer: NodeJS.Timeout | undefined) => {
    pending.delete(timer)
    clearTimeout(timer)
  })
  onTestFinished(() => void vi.unstubAllGlobals())
  return pending
}

/** However it is consumed, it has ended in this error, and holds on to nothing. */
async function expectAborted(stream: ChatStream, { signal }: AbortController, wire: Wire): Promise<void> {
  const aborted = { name: 'AbortError' }
  await expect(stream.text()).rejects.toMatchObject(aborted)
  await expect(stream.final()).rejects.toMatchObject(aborted)
  await expect(collect(stream)).rejects.toMatchObject(aborted)
  await expect(stream.textStream.getReader().read()).rejects.toMatchObject(aborted)
  expect(wire.of('end')).toMatchObject([{ as: 'aborted' }])
  expect(getEventListeners(signal, 'abort')).toEqual([])
}

describe('an abort', () => {
  it('before the start sends nothing', async () => {
    const { network } = await startScripted()
    const leave = new AbortController()
    leave.abort()
    const wire = new Wire()
    const stream = clientOf(network).chat(SCRIPTED, { signal: leave.signal, onActivity: wire.onActivity })
    await expectAborted(stream, leave, wire)
    await expect(stream.id).rejects.toMatchObject({ name: 'AbortError' })
    expect(wire.entries.map(({ type }) => type)).toEqual(['end'])
  })

  it('before the headers closes the connection', async () => {
    const { network } = await startScripted()
    network.plan({ hang: { bytes: 0 } })
    const leave = new AbortController()
    const wire = new Wire()
    const stream = clientOf(network).chat(SCRIPTED, { signal: leave.signal, onActivity: wire.onActivity })
    await network.requests.until(({ length }) => length === 1)
    leave.abort()
    await expectAborted(stream, leave, wire)
    await expect(stream.id).rejects.toMatchObject({ name: 'AbortError' })
    await network.closed()
  })

  it('while it streams closes the connection, and leaves the stream to others', async () => {
    const { provider, gateway, network } = await startScripted()
    const leave = new AbortController()
    const wire = new Wire()
    const stream = clientOf(network).chat(SCRIPTED, { signal: leave.signal, onActivity: wire.onActivity })
    const run = await provider.nextRun()
    run.text('one ')
    await wire.untilCount('frame', 1)
    leave.abort()
    await expectAborted(stream, leave, wire)
    await network.closed()
    expect(run.signal.aborted).toBe(false)
    run.text('two')
    run.done()
    const other = await (await resume(gateway.url, await stream.id)).end()
    expect(other.text).toBe('one two')
    expect(network.requests.entries).toHaveLength(1)
  })

  it('while it waits to reconnect ends the wait', async () => {
    const { provider, network } = await startScripted()
    const leave = new AbortController()
    const wire = new Wire()
    const client = clientOf(network, { backoff: () => 2 ** 30 })
    const stream = client.chat(SCRIPTED, { signal: leave.signal, onActivity: wire.onActivity })
    ;(await provider.nextRun()).text('one ')
    await wire.untilCount('frame', 1)
    network.cut()
    await wire.untilCount('reconnect', 1)
    leave.abort()
    await expectAborted(stream, leave, wire)
    expect(wire.of('request')).toHaveLength(1)
  })

  it('after the end changes nothing', async () => {
    const { gateway } = await startScripted()
    const leave = new AbortController()
    const wire = new Wire()
    const body = { ...HI, mock: { text: 'the end', interval_ms: 0 } }
    const stream = clientOf(gateway).chat(body, { signal: leave.signal, onActivity: wire.onActivity })
    expect(await stream.text()).toBe('the end')
    expect(getEventListeners(leave.signal, 'abort')).toEqual([])
    leave.abort()
    expect(await stream.text()).toBe('the end')
    expect((await stream.final()).finish_reason).toBe('stop')
    expect(wire.of('end')).toMatchObject([{ as: 'finished' }])
  })

  it.each(['request', 'response', 'bytes', 'heartbeat', 'frame', 'first-token', 'disconnect', 'reconnect'] as const)(
    'by one who has just been told of a %s holds on to nothing',
    async (type) => {
      const { provider, network } = await startScripted({ heartbeatMs: 20 })
      network.plan({ cut: { frames: 1 } })
      const endless = watchEndlessTimers()
      const leave = new AbortController()
      const wire = new Wire()
      const onActivity = (activity: Activity) => {
        wire.add(activity)
        if (activity.type === type) leave.abort()
      }
      const client = clientOf(network, { backoff: () => Infinity, heartbeatMs: Infinity })
      const stream = client.chat(SCRIPTED, { signal: leave.signal, onActivity })
      if (type !== 'request' && type !== 'response' && type !== 'bytes') {
        const run = await provider.nextRun()
        if (type !== 'heartbeat') run.text('one ')
      }
      await expectAborted(stream, leave, wire)
      await network.closed()
      expect(wire.of('request')).toHaveLength(1)
      expect(endless.size).toBe(0)
    },
  )

  it('by one who has just been told of the last frame comes before the end', async () => {
    const gateway = await startGateway()
    const leave = new AbortController()
    const wire = new Wire()
    const onActivity = (activity: Activity) => {
      wire.add(activity)
      if (activity.type === 'frame' && activity.event.type === 'done') leave.abort()
    }
    const body = { ...HI, mock: { text: 'x', interval_ms: 0 } }
    await expectAborted(clientOf(gateway).chat(body, { signal: leave.signal, onActivity }), leave, wire)
  })

  it('is thrown as the reason that the caller gave', async () => {
    const { gateway } = await startScripted()
    const reason = new Error('enough')
    await expect(
      clientOf(gateway)
        .chat(SCRIPTED, { signal: AbortSignal.abort(reason) })
        .text(),
    ).rejects.toBe(reason)
  })

  it('of a loop in its middle ends the loop at once, whatever it has not read yet', async () => {
    const { provider, gateway } = await startScripted()
    const leave = new AbortController()
    const wire = new Wire()
    const stream = clientOf(gateway).chat(SCRIPTED, { signal: leave.signal, onActivity: wire.onActivity })
    const run = await provider.nextRun()
    for (const count of [1, 2, 3]) {
      run.text('a')
      await wire.untilCount('frame', count)
    }
    const read: unknown[] = []
    const loop = (async () => {
      for await (const event of stream) {
        read.push(event)
        leave.abort()
      }
    })()
    await expect(loop).rejects.toMatchObject({ name: 'AbortError' })
    expect(read).toHaveLength(1)
  })
})

describe('cancel', () => {
  it('stops the provider, and ends the stream as cancelled for everybody', async () => {
    const { provider, gateway } = await startScripted()
    const wire = new Wire()
    const stream = clientOf(gateway).chat(SCRIPTED, wire)
    const run = await provider.nextRun()
    run.text('one ')
    await wire.untilCount('frame', 1)
    const other = await resume(gateway.url, await stream.id)
    await stream.cancel()
    await run.aborted
    expect(await stream.text()).toBe('one ')
    expect(await stream.final()).toMatchObject({ finish_reason: 'cancelled', message: { content: 'one ' } })
    expect((await collect(stream)).at(-1)).toMatchObject({ type: 'done', finish_reason: 'cancelled', seq: 2 })
    expect((await other.end()).dones).toMatchObject([{ finish_reason: 'cancelled' }])
    expect(wire.of('end')).toMatchObject([{ as: 'cancelled' }])
    expect(wire.of('request')).toHaveLength(1)
  })

  it('before the id is known waits for it', async () => {
    const { provider, gateway } = await startScripted()
    const stream = clientOf(gateway).chat(SCRIPTED)
    await stream.cancel()
    await (
      await provider.nextRun()
    ).aborted
    expect(await stream.final()).toMatchObject({ finish_reason: 'cancelled' })
  })

  it('before the id is known, with nobody who answers, ends the stream here', async () => {
    const { network } = await startScripted()
    network.plan({ cut: 'request' })
    const wire = new Wire()
    const stream = clientOf(network, { backoff: () => 2 ** 30 }).chat(SCRIPTED, wire)
    await wire.untilCount('reconnect', 1)
    await stream.cancel()
    expect(await stream.final()).toMatchObject({ finish_reason: 'cancelled', message: { content: null } })
    await expect(stream.id).rejects.toMatchObject({ code: 'cancelled' })
    expect(wire.of('request')).toHaveLength(1)
  })

  it('before the id is known, of an answer that is lost, ends the stream here', async () => {
    const { network } = await startScripted()
    network.plan({ hang: 'request' })
    const stream = clientOf(network).chat(SCRIPTED)
    await network.requests.until(({ length }) => length === 1)
    const cancelled = stream.cancel()
    network.cut()
    await cancelled
    expect((await collect(stream)).map(({ type }) => type)).toEqual(['done'])
    expect(network.requests.entries).toHaveLength(1)
  })

  it('while it waits to reconnect fetches what was missed at once', async () => {
    const { provider, network } = await startScripted()
    const wire = new Wire()
    const stream = clientOf(network, { backoff: () => 2 ** 30 }).chat(SCRIPTED, wire)
    const run = await provider.nextRun()
    run.text('one ')
    await wire.untilCount('frame', 1)
    network.cut()
    run.text('two')
    await wire.untilCount('reconnect', 1)
    await stream.cancel()
    expect(await stream.text()).toBe('one two')
    expect(await stream.final()).toMatchObject({ finish_reason: 'cancelled' })
  })

  it('on a connection that is half open does not wait for the watchdog', async () => {
    const { provider, network } = await startScripted()
    const wire = new Wire()
    const stream = clientOf(network).chat(SCRIPTED, wire)
    ;(await provider.nextRun()).text('one ')
    await wire.untilCount('frame', 1)
    network.hang()
    await stream.cancel()
    expect(await stream.final()).toMatchObject({ finish_reason: 'cancelled', message: { content: 'one ' } })
  })

  it('is repeated until the gateway has heard it', async () => {
    const { provider, network } = await startScripted()
    const wire = new Wire()
    const stream = clientOf(network).chat(SCRIPTED, wire)
    const run = await provider.nextRun()
    network.plan({ cut: 'request' }, { cut: { bytes: 0 } }, { answer: { status: 503 } })
    await stream.cancel()
    await run.aborted
    expect(await stream.final()).toMatchObject({ finish_reason: 'cancelled' })
    const deletes = network.requests.entries.filter(({ method }) => method === 'DELETE')
    expect(deletes.length).toBeGreaterThanOrEqual(2)
  })

  it('of a stream that a restart has swept away is an end, not a failure', async () => {
    const { provider, network } = await startScripted()
    const wire = new Wire()
    const stream = clientOf(network).chat(SCRIPTED, wire)
    ;(await provider.nextRun()).text('one ')
    await wire.untilCount('frame', 1)
    network.target = (await startGateway()).url
    await stream.cancel()
    expect(await stream.final()).toMatchObject({ finish_reason: 'cancelled', message: { content: 'one ' } })
  })

  it('that the gateway refuses is told to its caller alone', async () => {
    const { provider, network } = await startScripted()
    const stream = clientOf(network).chat(SCRIPTED)
    const run = await provider.nextRun()
    await stream.id
    network.plan({ answer: { status: 403 } })
    await expect(stream.cancel()).rejects.toMatchObject({ code: 'http_403', status: 403 })
    run.text('it goes on')
    run.done()
    expect(await stream.text()).toBe('it goes on')
  })

  it('after an abort still stops the stream', async () => {
    const { provider, gateway } = await startScripted()
    const leave = new AbortController()
    const stream = clientOf(gateway).chat(SCRIPTED, { signal: leave.signal })
    const run = await provider.nextRun()
    await stream.id
    leave.abort()
    await stream.cancel()
    await run.aborted
    await expect(stream.text()).rejects.toMatchObject({ name: 'AbortError' })
  })

  it('after the end sends nothing', async () => {
    const { network } = await startScripted()
    const stream = clientOf(network).chat({ ...HI, mock: { text: 'the end', interval_ms: 0 } })
    await stream.text()
    await stream.cancel()
    expect(await stream.final()).toMatchObject({ finish_reason: 'stop' })
    expect(network.requests.entries).toHaveLength(1)
  })

  it('by another reader ends this one as cancelled too', async () => {
    const { provider, gateway } = await startScripted()
    const reader = await chat(gateway.url, { model: 'scripted' })
    await provider.nextRun()
    const client = clientOf(gateway)
    const stream = client.attach(reader.id)
    await client.attach(reader.id).cancel()
    expect(await stream.final()).toMatchObject({ finish_reason: 'cancelled' })
  })
})
