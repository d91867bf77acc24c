import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { SluiceClientError } from '../../src/client/index.ts'
import { FaultyNetwork } from '../support/faulty-network.ts'
import { startGateway } from '../support/gateway.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { clientOf, forbidUnhandledRejections, HI, telling, Wire, words } from './harness.ts'

forbidUnhandledRejections()

const SCRIPTED = { ...HI, model: 'scripted' }

async function startScripted(settings: Parameters<typeof startGateway>[0] = {}) {
  const provider = new ScriptedProvider()
  const gateway = await startGateway(settings, { providers: [provider] })
  const network = await FaultyNetwork.start(gateway.url)
  return { provider, gateway, network }
}

describe('a gateway that is restarted in mid-stream', () => {
  it('says so when it shuts down in good order: a failure that may be retried', async () => {
    const { provider, gateway, network } = await startScripted()
    const wire = new Wire()
    const stream = clientOf(network).chat(SCRIPTED, wire)
    ;(await provider.nextRun()).text('half a ')
    await wire.untilCount('frame', 1)
    await gateway.drain()
    await expect(stream.text()).rejects.toMatchObject({ code: 'gateway_shutdown', retryable: true })
    expect(wire.of('request')).toHaveLength(1)
  })

  it.each([
    ['gateway_shutdown', 1],
    ['producer_lost', 1_000_000],
  ])('is asked again with the same key when it had sent nothing but %s', async (code, seq) => {
    const provider = telling(words('from the other one'))
    const network = await FaultyNetwork.start((await startGateway({}, { providers: [provider] })).url)
    const error = { code, message: 'Bye.', retryable: true }
    const done = `event: done\nid: ${seq}\ndata: ${JSON.stringify({ finish_reason: 'error', error })}\n\n`
    const headers = { 'content-type': 'text/event-stream', 'sluice-stream-id': 'str_1' }
    network.plan(
      { answer: { status: 200, headers, body: 'retry: 1000\n\n' } },
      { answer: { status: 200, headers, body: done } },
    )
    const wire = new Wire()
    const stream = clientOf(network).chat({ ...HI, model: 'telling' }, wire)
    expect(await stream.id).toBe('str_1')
    expect(await stream.text()).toBe('from the other one')
    expect(await stream.id).toMatch(/^str_\w{32}$/)
    const [first, resumed, second] = network.requests.entries
    expect([first!.method, resumed!.path, second!.method]).toEqual(['POST', '/v1/streams/str_1', 'POST'])
    expect(second!.headers['idempotency-key']).toBe(first!.headers['idempotency-key'])
    expect(wire.of('disconnect').at(-1)).toMatchObject({ error: { code } })
  })

  it('is asked no more often than allowed', async () => {
    const { provider, gateway, network } = await startScripted()
    const stream = clientOf(network, { maxAttempts: 0 }).chat(SCRIPTED)
    await provider.nextRun()
    await gateway.drain()
    await expect(stream.text()).rejects.toMatchObject({ code: 'gateway_shutdown', retryable: true })
    expect(provider.runs).toHaveLength(1)
  })

  it('is not asked again by a reader that only joined', async () => {
    const { provider, gateway, network } = await startScripted()
    const created = clientOf(network, { maxAttempts: 0 }).chat(SCRIPTED)
    await provider.nextRun()
    const wire = new Wire()
    const joined = clientOf(network).attach(await created.id, wire)
    await wire.untilCount('response', 1)
    await gateway.drain()
    await expect(joined.text()).rejects.toMatchObject({ code: 'gateway_shutdown' })
    expect(wire.of('request').map(({ method }) => method)).toEqual(['GET'])
  })

  it('has forgotten the stream when it had no time to: `stream_lost`, not a wait without end', async () => {
    const { provider, network } = await startScripted()
    const wire = new Wire()
    const stream = clientOf(network, { backoff: () => 1, maxAttempts: Infinity }).chat(SCRIPTED, wire)
    ;(await provider.nextRun()).text('half a ')
    await wire.untilCount('frame', 1)
    await network.offline()
    await wire.untilCount('reconnect', 3)
    network.target = (await startGateway()).url
    await network.online()
    await expect(stream.text()).rejects.toMatchObject({ code: 'stream_lost', status: 404, retryable: true })
    expect(wire.of('end')).toMatchObject([{ as: 'failed' }])
  })

  it('is asked anew by a stream that it had not answered yet', async () => {
    const { network } = await startScripted()
    network.plan({ hang: 'request' })
    const provider = telling(words('from the new one'), 'scripted')
    const wire = new Wire()
    const stream = clientOf(network, { backoff: () => 1, maxAttempts: Infinity }).chat(SCRIPTED, wire)
    await network.requests.until(({ length }) => length === 1)
    await network.offline()
    network.target = (await startGateway({}, { providers: [provider] })).url
    await network.online()
    expect(await stream.text()).toBe('from the new one')
    expect(provider.runs).toBe(1)
  })
})

describe('a client that is offline', () => {
  it('in mid-stream goes on when it is back, with all it has missed', async () => {
    const { provider, network } = await startScripted()
    const wire = new Wire()
    const stream = clientOf(network, { backoff: () => 1, maxAttempts: Infinity }).chat(SCRIPTED, wire)
    const run = await provider.nextRun()
    run.text('one ')
    await wire.untilCount('frame', 1)
    await network.offline()
    run.text('two ', 'three')
    run.done()
    await wire.untilCount('reconnect', 5)
    await network.online()
    expect(await stream.text()).toBe('one two three')
    expect(wire.of('frame').map(({ covers }) => covers)).toEqual([1, 2, 1])
    expect(provider.runs).toHaveLength(1)
  })

  it('from the start creates its stream when it is back', async () => {
    const { network, provider } = await startScripted()
    await network.offline()
    const wire = new Wire()
    const stream = clientOf(network, { backoff: () => 1, maxAttempts: Infinity }).chat(SCRIPTED, wire)
    await wire.untilCount('reconnect', 5)
    await network.online()
    const run = await provider.nextRun()
    run.text('hello')
    run.done()
    expect(await stream.text()).toBe('hello')
  })

  it('for good fails, after as many attempts as it was allowed', async () => {
    const { network } = await startScripted()
    await network.offline()
    const wire = new Wire()
    const stream = clientOf(network, { maxAttempts: 3 }).chat(SCRIPTED, wire)
    const error: unknown = await stream.text().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(SluiceClientError)
    expect(error).toMatchObject({ code: 'unreachable', retryable: true, status: undefined })
    expect(error).toHaveProperty('cause', expect.any(Error))
    expect(wire.of('request')).toHaveLength(4)
    await expect(stream.id).rejects.toBe(error)
  })

  it('counts its attempts anew whenever a connection has brought something', async () => {
    const { provider, network } = await startScripted()
    network.plan(...Array.from({ length: 10 }, () => ({ cut: { frames: 1 } })))
    const wire = new Wire()
    const stream = clientOf(network, { maxAttempts: 1 }).chat(SCRIPTED, wire)
    const run = await provider.nextRun()
    for (let index = 0; index < 10; index += 1) {
      await wire.untilCount('frame', index)
      run.text(`${index}`)
    }
    run.done()
    expect(await stream.text()).toBe('0123456789')
    expect(wire.of('reconnect')).toHaveLength(10)
  })
  it('counts its attempts anew after a heartbeat, too: a provider may think for longer than proxies like', async () => {
    const { network, provider } = await startScripted({ heartbeatMs: 20 })
    const wire = new Wire()
    const stream = clientOf(network, { maxAttempts: 1 }).chat(SCRIPTED, wire)
    const run = await provider.nextRun()
    for (let round = 1; round <= 4; round += 1) {
      const heartbeats = wire.of('heartbeat').length
      await wire.untilCount('heartbeat', heartbeats + 1)
      network.cut()
      await wire.untilCount('response', round + 1)
    }
    run.text('thought')
    run.done()
    expect(await stream.text()).toBe('thought')
  })

  it('waits as long as its backoff makes of what the gateway asks for', async () => {
    const { network } = await startScripted()
    const headers = { 'content-type': 'text/event-stream', 'sluice-stream-id': 'forgotten' }
    network.plan({ cut: 'request' }, { answer: { status: 200, headers, body: 'retry: 1234\n\n' } })
    const asked: number[][] = []
    const backoff = (attempt: number, retryMs: number) => {
      asked.push([attempt, retryMs])
      return 0
    }
    await expect(clientOf(network, { backoff }).chat(SCRIPTED).text()).rejects.toMatchObject({
      code: 'stream_lost',
    })
    expect(asked).toEqual([
      [1, 1000],
      [2, 1234],
    ])
  })
})

describe('a gateway that takes no more', () => {
  const problem = (status: number, code: string, retryable = true) => ({
    answer: {
      status,
      headers: { 'content-type': 'application/problem+json', 'retry-after': '1' },
      body: JSON.stringify({ title: 'x', status, code, detail: 'Too much.', retryable }),
    },
  })

  it.each([
    [503, 'store_full'],
    [429, 'upstream_rate_limited'],
  ])('with %i is asked again, once `Retry-After` is over', async (status, code) => {
    const provider = telling(words('at last'))
    const network = await FaultyNetwork.start((await startGateway({}, { providers: [provider] })).url)
    network.plan(problem(status, code), problem(status, code))
    const wire = new Wire()
    expect(
      await clientOf(network)
        .chat({ ...HI, model: 'telling' }, wire)
        .text(),
    ).toBe('at last')
    expect(wire.of('reconnect')).toMatchObject([
      { attempt: 1, delayMs: 1000 },
      { attempt: 2, delayMs: 1000 },
    ])
    expect(wire.of('disconnect')).toMatchObject([
      { reason: 'refused', error: { code, status } },
      { reason: 'refused', error: { code, status } },
    ])
    expect(provider.runs).toBe(1)
  })

  it('and is asked again by a resuming reader too', async () => {
    const { provider, network } = await startScripted()
    network.plan({ cut: { frames: 1 } }, problem(503, 'gateway_shutdown'))
    const wire = new Wire()
    const stream = clientOf(network).chat(SCRIPTED, wire)
    const run = await provider.nextRun()
    run.text('one ')
    await wire.untilCount('reconnect', 2)
    run.text('two')
    run.done()
    expect(await stream.text()).toBe('one two')
  })

  it('fails with its own words when it does not change its mind', async () => {
    const network = await FaultyNetwork.start((await startGateway()).url)
    const full = { answer: { status: 503, body: 'no json' } }
    network.plan(full, full, full)
    await expect(clientOf(network, { maxAttempts: 2 }).chat(HI).text()).rejects.toMatchObject({
      code: 'http_503',
      status: 503,
      retryable: true,
    })
  })

  it('is left alone when it says that the same will never do', async () => {
    const network = await FaultyNetwork.start((await startGateway()).url)
    network.plan(problem(429, 'quota_exceeded', false))
    await expect(clientOf(network).chat(HI).text()).rejects.toMatchObject({ code: 'quota_exceeded', retryable: false })
    expect(network.requests.entries).toHaveLength(1)
  })

  it('that drains answers with a `Retry-After` of its own, which is honoured', async () => {
    const { gateway } = await startScripted()
    gateway.services.draining = true
    const wire = new Wire()
    const leave = new AbortController()
    const stream = clientOf(gateway).chat(SCRIPTED, { signal: leave.signal, onActivity: wire.onActivity })
    await wire.untilCount('reconnect', 1)
    leave.abort()
    expect(wire.of('reconnect')).toMatchObject([{ delayMs: 5000 }])
    await expect(stream.text()).rejects.toThrow('aborted')
  })
})

describe('a half-open connection', () => {
  it('in mid-stream is noticed by its missing heartbeats alone', async () => {
    const { provider, network } = await startScripted({ heartbeatMs: 50 })
    const wire = new Wire()
    const stream = clientOf(network, { heartbeatMs: 50 }).chat(SCRIPTED, wire)
    const run = await provider.nextRun()
    run.text('one ')
    await wire.untilCount('frame', 1)
    network.hang()
    run.text('two ', 'three')
    run.done()
    expect(await stream.text()).toBe('one two three')
    expect(wire.of('disconnect')[0]).toMatchObject({ reason: 'silent' })
    expect(provider.runs).toHaveLength(1)
  })

  it('is given three heartbeats', async () => {
    const { gateway } = await startScripted()
    const timer = vi.spyOn(globalThis, 'setTimeout')
    onTestFinished(() => timer.mockRestore())
    const stream = clientOf(gateway, { heartbeatMs: 54_321, firstResponseMs: Infinity }).attach('unknown')
    await expect(stream.text()).rejects.toMatchObject({ code: 'stream_not_found' })
    expect(timer.mock.calls.map(([, ms]) => Math.round(Number(ms)))).toContain(3 * 54_321)
  })

  describe('with a heartbeat that the gateway states', () => {
    /** A gateway that sends only this over one connection, and then another one with the end. */
    function quietGateway(heartbeat: string) {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
      onTestFinished(() => void vi.useRealTimers())
      const headers = {
        'content-type': 'text/event-stream',
        'sluice-stream-id': 'quiet',
        'sluice-heartbeat': heartbeat,
      }
      const connections: ReadableStreamDefaultController<Uint8Array>[] = []
      const fetch = async () =>
        new Response(new ReadableStream<Uint8Array>({ start: (controller) => void connections.push(controller) }), {
          headers,
        })
      const send = (text: string) => text && connections.at(-1)?.enqueue(new TextEncoder().encode(text))
      const after = async (ms: number, text: string) => {
        await vi.advanceTimersByTimeAsync(ms)
        send(text)
        await vi.advanceTimersByTimeAsync(0)
      }
      return { connections, fetch, after }
    }

    const DONE =
      'event: delta\ndata: {"content":"thought"}\nid: 1\n\nevent: done\ndata: {"finish_reason":"stop"}\nid: 2\n\n'

    it('is not what a default client takes a silence for that is shorter than three of them', async () => {
      const { connections, fetch, after } = quietGateway('60000')
      const stream = clientOf({ url: 'http://gateway' }, { fetch }).chat(HI)
      await after(0, 'retry: 1000\n')
      await after(60_000, ': heartbeat\n')
      await after(179_000, DONE)
      expect(await stream.text()).toBe('thought')
      expect(connections).toHaveLength(1)
    })

    it('is noticed after three of them', async () => {
      const { connections, fetch, after } = quietGateway('60000')
      const stream = clientOf({ url: 'http://gateway' }, { fetch }).chat(HI)
      await after(0, 'retry: 1000\n')
      await after(179_990, '')
      expect(connections).toHaveLength(1)
      await after(10, '')
      await after(10, '')
      expect(connections).toHaveLength(2)
      await after(0, DONE)
      expect(await stream.text()).toBe('thought')
    })

    it('is noticed after three times 3 s when it is shorter than a mobile network may be silent', async () => {
      const { connections, fetch, after } = quietGateway('20')
      const stream = clientOf({ url: 'http://gateway' }, { fetch }).chat(HI)
      await after(0, 'retry: 1000\n')
      // The first timer began before the gateway stated anything, and waits for a first response.
      await after(10_000, '')
      await after(10, 'retry: 1000\n')
      expect(connections).toHaveLength(2)
      await after(8_990, '')
      expect(connections).toHaveLength(2)
      await after(10, '')
      await after(10, '')
      expect(connections).toHaveLength(3)
      await after(0, DONE)
      expect(await stream.text()).toBe('thought')
    })

    it.each([
      ['the option, which overrides it', '60000', { heartbeatMs: 1000 }, 3000],
      ['the usual 8 s, when it makes no sense', 'soon', {}, 24_000],
    ])('is noticed after three times %s', async (_, heartbeat, options, silenceMs) => {
      const { connections, fetch, after } = quietGateway(heartbeat)
      const stream = clientOf({ url: 'http://gateway' }, { fetch, ...options }).chat(HI)
      await after(0, 'retry: 1000\n')
      await after(silenceMs - 10, '')
      expect(connections).toHaveLength(1)
      await after(10, '')
      await after(10, '')
      expect(connections).toHaveLength(2)
      await after(0, DONE)
      expect(await stream.text()).toBe('thought')
    })
  })

  it('before the headers is noticed as well, and not paid twice', async () => {
    const provider = telling(words('once'))
    const network = await FaultyNetwork.start((await startGateway({}, { providers: [provider] })).url)
    network.plan({ hang: { bytes: 0 } }, { hang: 'request' })
    const wire = new Wire()
    expect(
      await clientOf(network, { heartbeatMs: 30 })
        .chat({ ...HI, model: 'telling' }, wire)
        .text(),
    ).toBe('once')
    expect(wire.of('disconnect').slice(0, 2)).toMatchObject([{ reason: 'silent' }, { reason: 'silent' }])
    expect(provider.runs).toBe(1)
  })

  it('in the body of an error is noticed as well', async () => {
    const network = await FaultyNetwork.start((await startGateway()).url)
    network.plan({ hang: { bytes: 300 } })
    const stream = clientOf(network, { heartbeatMs: 30 }).chat({ ...HI, model: 'no-such-model' })
    await expect(stream.text()).rejects.toMatchObject({ code: 'unknown_model' })
    expect(network.requests.entries.length).toBeGreaterThan(1)
  })

  it('is not what a provider is that thinks for long: heartbeats keep its stream alive', async () => {
    const { provider, gateway } = await startScripted({ heartbeatMs: 20 })
    const wire = new Wire()
    const stream = clientOf(gateway, { heartbeatMs: 1000 }).chat(SCRIPTED, wire)
    const run = await provider.nextRun()
    await wire.untilCount('heartbeat', 5)
    run.text('thought')
    run.done()
    expect(await stream.text()).toBe('thought')
    expect(wire.of('request')).toHaveLength(1)
  })
})
