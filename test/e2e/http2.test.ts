import type { Settings } from 'node:http2'
import { describe, expect, it } from 'vitest'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { Http2Connection } from '../support/http2-client.ts'
import type { Reader } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { TLS } from '../support/tls.ts'
import type { Config } from '../../src/config.ts'

const JSON_ONLY = { accept: 'application/json' }
const quick = { mock: { text: 'a b c', interval_ms: 0 } }
const scripted = { model: 'scripted' }

async function setUp(settings: Partial<Config> = {}, clientSettings?: Settings) {
  const provider = new ScriptedProvider()
  const gateway = await startGateway({ ...TLS, ...settings }, { providers: [provider] })
  return { provider, gateway, connection: await Http2Connection.open(gateway.url, clientSettings) }
}

const readers = (gateway: TestGateway) => gateway.metric('sluice_connections_open{protocol="native"}')

/** Another stream of the connection, which must come through whatever happens to the first. */
async function expectUnharmed(connection: Http2Connection): Promise<void> {
  const reader = await (await connection.chat(quick)).end()
  expect([reader.text, reader.complete]).toStrictEqual(['a b c', true])
  expect(connection.session.closed).toBe(false)
}

describe('the native protocol over HTTP/2', () => {
  it('streams', async () => {
    const { gateway, connection } = await setUp()
    expect(gateway.url).toMatch(/^https:/)
    expect(connection.session.alpnProtocol).toBe('h2')
    const reader = await (await connection.chat(quick)).end()
    expect(reader.status).toBe(200)
    expect(reader.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'content-location': `/v1/streams/${reader.id}`,
      'x-accel-buffering': 'no',
    })
    expect(reader.headers).not.toHaveProperty('transfer-encoding')
    expect(reader.text).toBe('a b c')
    expect(reader.dones).toMatchObject([{ finish_reason: 'stop' }])
    expect(reader.complete).toBe(true)
  })

  it('answers with JSON, and with nothing but where the stream is', async () => {
    const { connection } = await setUp()
    const whole = await (await connection.chat(quick, { headers: JSON_ONLY })).end()
    expect(whole.json).toMatchObject({ status: 'finished', message: { content: 'a b c' } })
    const started = await (await connection.chat(quick, { headers: { prefer: 'respond-async' } })).end()
    expect(started.status).toBe(202)
    const read = await (await connection.request(String(started.headers.location))).end()
    expect(read.text).toBe('a b c')
  })

  it('resumes after the last id, and answers 204 at the end', async () => {
    const { provider, connection } = await setUp()
    const first = await connection.chat(scripted)
    const run = await provider.nextRun()
    run.text('one ')
    await first.until(({ text }) => text === 'one ')
    first.cut()
    run.text('two ')
    run.done()
    const second = await (await connection.resume(first.id, 1)).end()
    expect(second.text).toBe('two ')
    expect(second.complete).toBe(true)
    expect((await connection.resume(first.id, second.ids.at(-1))).status).toBe(204)
  })

  it('cancels for every reader of the stream', async () => {
    const { provider, connection } = await setUp()
    const reader = await connection.chat(scripted)
    const run = await provider.nextRun()
    run.text('one ')
    await reader.until(({ text }) => text === 'one ')
    const deleted = await connection.request(`/v1/streams/${reader.id}`, { method: 'DELETE' })
    expect(deleted.status).toBe(204)
    await run.aborted
    expect((await reader.end()).dones).toMatchObject([{ finish_reason: 'cancelled' }])
  })

  it('says in the stream that a provider failed', async () => {
    const { provider, connection } = await setUp()
    const reader = await connection.chat(scripted)
    const run = await provider.nextRun()
    run.text('one ')
    run.end()
    await reader.end()
    expect(reader.text).toBe('one ')
    expect(reader.dones).toMatchObject([{ finish_reason: 'error', error: { code: 'upstream_truncated' } }])
  })

  it('answers errors as over HTTP/1.1', async () => {
    const { connection } = await setUp()
    const post = (body: unknown, headers = {}) => connection.request('/v1/chat', { method: 'POST', body, headers })
    const answers: [Promise<Reader>, number, string][] = [
      [connection.request('/nowhere'), 404, 'not_found'],
      [connection.request('/v1/chat'), 405, 'method_not_allowed'],
      [connection.resume('unknown'), 404, 'stream_not_found'],
      [connection.request('/v1/chat', { method: 'POST' }), 400, 'invalid_json'],
      [post('{"messages": ['), 400, 'invalid_json'],
      [post({ messages: [] }), 400, 'invalid_request'],
      [post('hi', { 'content-type': 'text/plain' }), 415, 'unsupported_media_type'],
    ]
    for (const [answer, status, code] of answers) {
      const reader = await (await answer).end()
      expect(reader.headers['content-type']).toBe('application/problem+json')
      expect(reader.json).toMatchObject({ status, code })
    }
  })

  it('reads a body whose length was not told, and refuses one that is too large without hurting the connection', async () => {
    const { connection } = await setUp({ bodyLimit: 1000 })
    const large = JSON.stringify({ messages: [{ role: 'user', content: 'x'.repeat(8 * 1024 * 1024) }] })
    const body = (headers: Record<string, string>) => ({ method: 'POST', body: large, headers })
    for (const headers of [{ 'content-length': String(large.length) }, {}]) {
      const refused = await (await connection.request('/v1/chat', body(headers))).end()
      expect(refused.json).toMatchObject({ status: 413, code: 'body_too_large' })
      await expectUnharmed(connection)
    }
    // Nor do bodies that nobody wants.
    for (let count = 0; count < 3; count++)
      expect((await (await connection.request('/nowhere', body({}))).end()).status).toBe(404)
    await expectUnharmed(connection)
  })

  it('answers HEAD with headers alone', async () => {
    const { connection } = await setUp()
    const { id } = await (await connection.chat(quick)).end()
    for (const path of [`/v1/streams/${id}`, '/v1/status']) {
      const headers = { accept: 'text/event-stream' }
      const reader = await (await connection.request(path, { method: 'HEAD', headers })).end()
      expect(reader.status).toBe(200)
      expect(reader.headers['content-type']).toContain('text/event-stream')
      expect([reader.body, reader.complete]).toStrictEqual(['', true])
    }
    await expectUnharmed(connection)
  })

  it('feeds the status', async () => {
    const { connection, gateway } = await setUp({ drainMs: 60_000 })
    const watcher = await connection.request('/v1/status', { headers: { accept: 'text/event-stream' } })
    await watcher.until(({ messages }) => messages.length === 1)
    const drained = gateway.drain()
    await watcher.end()
    expect(watcher.messages.at(-1)).toMatchObject({ event: 'end' })
    expect(watcher.complete).toBe(true)
    await drained
  })

  it('sends heartbeats on silent streams', async () => {
    const { connection } = await setUp({ heartbeatMs: 10 })
    const all = await Promise.all([connection.chat(scripted), connection.chat(scripted)])
    for (const reader of all) await reader.until(({ comments }) => comments.length >= 3)
  })
})

describe('a reader that leaves over HTTP/2', () => {
  it('is noticed, whether it read a stream or waited for JSON, and no other stream of the connection is', async () => {
    const { provider, gateway, connection } = await setUp({ resumeWindowMs: 50 })
    const [leaving, staying] = await Promise.all([connection.chat(scripted), connection.chat(scripted)])
    const [first, second] = [await provider.nextRun(), await provider.nextRun()]
    for (const run of [first, second]) run.text('one ')
    for (const reader of [leaving, staying]) await reader.until(({ text }) => text === 'one ')
    leaving.cut()
    await expect.poll(() => readers(gateway)).toBe(1)
    await Promise.race([first.aborted, second.aborted])
    for (const run of [first, second].filter(({ signal }) => !signal.aborted)) {
      run.text('two')
      run.done()
    }
    await staying.end()
    expect([staying.text, staying.complete]).toStrictEqual(['one two', true])

    const waiting = connection.session.request({
      ':method': 'POST',
      ':path': '/v1/chat',
      'content-type': 'application/json',
      ...JSON_ONLY,
    })
    waiting.end(JSON.stringify({ ...scripted, messages: [{ role: 'user', content: 'hi' }] }))
    const run = await provider.nextRun()
    waiting.close(8)
    await run.aborted
    await expectUnharmed(connection)
  })

  it('is noticed when its connection breaks', async () => {
    const { provider, gateway, connection } = await setUp({ resumeWindowMs: 50 })
    const reader = await connection.chat(scripted)
    const run = await provider.nextRun()
    connection.session.destroy()
    await reader.end()
    await run.aborted
    expect(await readers(gateway)).toBe(0)
  })
})

describe('a reader that does not read over HTTP/2', () => {
  const large = { streamMaxBytes: 64 * 1024 ** 2 }
  const tokens = Array.from({ length: 20_000 }, (_, i) => `${i} `.padEnd(400, 'abcdefghi '))

  it('gets all that it slept through in far fewer frames, and holds up nobody', async () => {
    const { provider, gateway, connection } = await setUp(large)
    const reader = await connection.chat(scripted, { paused: true })
    const run = await provider.nextRun()
    for (let sent = 0; sent < tokens.length; sent += 100) {
      run.text(...tokens.slice(sent, sent + 100))
      await new Promise((resolve) => setImmediate(resolve))
    }
    run.done()
    await gateway.services.generations.idle()
    expect(await gateway.metric('sluice_backpressure_waits_total')).toBeGreaterThan(0)
    await expectUnharmed(connection)
    reader.resume()
    await reader.end()
    expect(reader.text).toBe(tokens.join(''))
    expect(reader.messages.length).toBeLessThan(tokens.length / 10)
    expect(reader.complete).toBe(true)
  })

  it('is reset when it has not read for the time allowed, and can come back', async () => {
    const { provider, gateway, connection } = await setUp({ ...large, slowReaderMs: 200 })
    const reader = await connection.chat(scripted, { paused: true })
    const run = await provider.nextRun()
    run.text(...tokens)
    run.done()
    await expect.poll(() => gateway.metric('sluice_slow_readers_closed_total')).toBe(1)
    reader.resume()
    await reader.end()
    expect(reader.complete).toBe(false)
    const rest = await (await connection.resume(reader.id, reader.ids.at(-1))).end()
    expect(reader.text + rest.text).toBe(tokens.join(''))
    await expectUnharmed(connection)
  })

  it('is reset, too, when what it does not read is the end', async () => {
    // So much that what Node reads ahead for itself, which differs by version, does not open it any further.
    const window = 1024 * 1024
    const { provider, gateway, connection } = await setUp({ slowReaderMs: 200 }, { initialWindowSize: window })
    const reader = await connection.chat(scripted, { paused: true })
    const run = await provider.nextRun()
    // What fills the window, but for little, and then more than this little, but not so much that the gateway waits.
    run.text('x'.repeat(window - 2000), 'y'.repeat(5000))
    run.done()
    await expect.poll(() => gateway.metric('sluice_slow_readers_closed_total')).toBe(1)
    reader.resume()
    await reader.end()
    expect(reader.complete).toBe(false)
  })

  it('is one of a hundred on one connection, which cost the log and no copy of it', async () => {
    const { provider, gateway, connection } = await setUp()
    expect(connection.session.remoteSettings.maxConcurrentStreams).toBeGreaterThanOrEqual(128)
    const first = await connection.chat(scripted, { paused: true })
    const run = await provider.nextRun()
    const others = await Promise.all(Array.from({ length: 99 }, () => connection.resume(first.id, 0, { paused: true })))
    const before = process.memoryUsage()
    const sent = tokens.slice(0, 2500)
    for (let count = 0; count < sent.length; count += 250) {
      run.text(...sent.slice(count, count + 250))
      await new Promise((resolve) => setImmediate(resolve))
    }
    run.done()
    await gateway.services.generations.idle()
    const after = process.memoryUsage()
    const grown = after.heapUsed + after.external - before.heapUsed - before.external
    // The log holds 1 MB, each window 64 KB on either side; a queue for each would hold 100 MB.
    expect(grown).toBeLessThan(50 * 1024 ** 2)
    expect(await readers(gateway)).toBe(100)
    await expectUnharmed(connection)
    for (const reader of [first, ...others]) reader.resume()
    for (const reader of [first, ...others]) {
      await reader.end()
      expect(reader.complete && reader.text === sent.join('')).toBe(true)
    }
  })
})
