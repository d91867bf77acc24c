import { constants } from 'node:http2'
import { once } from 'node:events'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { startGateway, itAlone } from '../support/gateway.ts'
import { Http2Connection } from '../support/http2-client.ts'
import { resetRapidly } from '../support/rapid-reset.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { TLS } from '../support/tls.ts'

const quick = { mock: { text: 'a b c', interval_ms: 0 } }
const scripted = { model: 'scripted' }
const GRACEFUL = constants.NGHTTP2_NO_ERROR

describe('a connection of HTTP/2 to a gateway that drains', () => {
  it('is closed at once when nothing runs on it', async () => {
    const gateway = await startGateway(TLS)
    const connection = await Http2Connection.open(gateway.url)
    await gateway.drain()
    expect(await connection.closed).toBe(GRACEFUL)
  })

  it('takes no new request after the first that is refused, and lets what runs on it end', async () => {
    const provider = new ScriptedProvider()
    const gateway = await startGateway({ ...TLS, drainMs: 60_000 }, { providers: [provider] })
    const connection = await Http2Connection.open(gateway.url)
    const reader = await connection.chat(scripted)
    const run = await provider.nextRun()
    const drained = gateway.drain()
    const goaway = once(connection.session, 'goaway')
    const refused = await (await connection.chat(scripted)).end()
    expect(refused.json).toMatchObject({ status: 503, code: 'gateway_shutdown' })
    expect(refused.headers['retry-after']).toBe('5')
    await goaway
    // Whoever comes back now finds the stream on another connection.
    const second = await Http2Connection.open(gateway.url)
    const resumed = await second.resume(reader.id)
    for (const text of ['one ', 'two']) run.text(text)
    run.done()
    for (const each of [reader, resumed]) {
      await each.end()
      expect([each.text, each.complete]).toStrictEqual(['one two', true])
    }
    await drained
    expect(await connection.closed).toBe(GRACEFUL)
    expect(await second.closed).toBe(GRACEFUL)
  })

  it('brings the last `done` to each of its streams', async () => {
    const gateway = await startGateway(TLS, { providers: [new ScriptedProvider()] })
    const connection = await Http2Connection.open(gateway.url)
    const all = await Promise.all(Array.from({ length: 20 }, () => connection.chat(scripted)))
    await gateway.drain()
    for (const reader of all) {
      await reader.end()
      expect(reader.dones).toMatchObject([{ error: { code: 'gateway_shutdown' } }])
      expect(reader.complete).toBe(true)
    }
  })

  it('is cut when its reader does not fetch what is left', async () => {
    const provider = new ScriptedProvider()
    const gateway = await startGateway(TLS, { providers: [provider] })
    const connection = await Http2Connection.open(gateway.url)
    const reader = await connection.chat(scripted, { paused: true })
    const run = await provider.nextRun()
    run.text('x'.repeat(1_000_000))
    await expect.poll(() => gateway.metric('sluice_backpressure_waits_total')).toBeGreaterThan(0)
    await gateway.drain()
    reader.resume()
    await reader.end()
    expect(reader.complete).toBe(false)
  })
})

describe('a connection of HTTP/2', () => {
  it('is closed when it has been idle for long, and not while a stream is open', async () => {
    // The gateway's own timers: Node's are others.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const provider = new ScriptedProvider()
    const gateway = await startGateway(
      { ...TLS, resumeWindowMs: 10_000_000, firstTokenTimeoutMs: 10_000_000 },
      { providers: [provider] },
    )
    const unused = await Http2Connection.open(gateway.url)
    const used = await Http2Connection.open(gateway.url)
    const reader = await used.chat(scripted)
    const run = await provider.nextRun()
    vi.advanceTimersByTime(75_000)
    expect(await unused.closed).toBe(GRACEFUL)
    run.text('still here')
    await reader.until(({ text }) => text === 'still here')
    run.done()
    await reader.end()
    // The server hears of the end of the stream a little later, and begins to count then.
    const closed = () => {
      vi.advanceTimersByTime(75_000)
      return used.session.closed
    }
    await expect.poll(closed).toBe(true)
    expect(await used.closed).toBe(GRACEFUL)
  })

  itAlone('loses the request whose body never comes, and nothing else', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const provider = new ScriptedProvider()
    const gateway = await startGateway(
      { ...TLS, resumeWindowMs: 10_000_000, firstTokenTimeoutMs: 10_000_000 },
      { providers: [provider] },
    )
    const connection = await Http2Connection.open(gateway.url)
    const reader = await connection.chat(scripted)
    const run = await provider.nextRun()
    const headers = { ':method': 'POST', ':path': '/v1/chat', 'content-type': 'application/json' }
    const stuck = connection.session.request(headers)
    stuck.on('error', () => {})
    stuck.write('{"messages": [')
    const closed = once(stuck, 'close')
    const ended = () => {
      vi.advanceTimersByTime(300_000)
      return stuck.closed
    }
    await expect.poll(ended).toBe(true)
    await closed
    run.text('here')
    run.done()
    expect((await reader.end()).text).toBe('here')
  })

  it('that resets streams as fast as it opens them is closed, and the others are not', async () => {
    const gateway = await startGateway(TLS)
    const other = await Http2Connection.open(gateway.url)
    expect(await resetRapidly(gateway.url, 2000)).not.toBe(GRACEFUL)
    expect((await (await other.chat(quick)).end()).text).toBe('a b c')
  })
})
