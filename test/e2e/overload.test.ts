import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { chat, open, resume } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { CA, TLS } from '../support/tls.ts'

const metric = (limit: string) => `sluice_limit_refusals_total{caller="anonymous",limit="${limit}"}`

describe('a gateway with MAX_STREAMS', () => {
  it('runs as many and not one more when 200 are asked for at once', async () => {
    const provider = new ScriptedProvider()
    const gateway = await startGateway({ maxStreams: 40 }, { providers: [provider] })
    const create = () => chat(gateway.url, { model: 'scripted' })
    const readers = await Promise.all(Array.from({ length: 200 }, create))
    const running = readers.filter(({ status }) => status === 200)
    expect(running).toHaveLength(40)
    expect(provider.runs).toHaveLength(40)
    const refused = await readers.find(({ status }) => status === 503)!.end()
    expect(refused.json).toMatchObject({ code: 'overloaded', retryable: true })
    expect(refused.headers['retry-after']).toBe('1')
    expect(await gateway.metric(metric('max_streams'))).toBe(160)
    // Those that run are read, resumed and cancelled as ever.
    expect((await resume(gateway.url, running[0]!.id)).status).toBe(200)
    expect((await open(`${gateway.url}/v1/streams/${running[0]!.id}`, { method: 'DELETE' })).status).toBe(204)
    await running[0]!.end()
    expect((await create()).status).toBe(200)
    expect((await create()).status).toBe(503)
  })

  it('lets a repeated request join its stream', async () => {
    const gateway = await startGateway({ maxStreams: 1 }, { providers: [new ScriptedProvider()] })
    const create = (key: string) => chat(gateway.url, { model: 'scripted' }, { headers: { 'idempotency-key': key } })
    const first = await create('a')
    expect((await create('a')).id).toBe(first.id)
    expect((await create('b')).status).toBe(503)
  })

  it('says so in the shapes of OpenAI and Anthropic', async () => {
    const { url } = await startGateway({ maxStreams: 1 }, { providers: [new ScriptedProvider()] })
    await chat(url, { model: 'scripted' })
    const messages = [{ role: 'user', content: 'hi' }]
    const post = async (path: string) =>
      (await open(url + path, { method: 'POST', body: { model: 'scripted', max_tokens: 9, messages } })).end()
    const [openai, anthropic] = [await post('/v1/chat/completions'), await post('/v1/messages')]
    expect(openai).toMatchObject({ status: 503, json: { error: { type: 'server_error', code: 'overloaded' } } })
    expect(anthropic).toMatchObject({ status: 503, json: { error: { type: 'overloaded_error' } } })
    for (const { headers } of [openai, anthropic]) expect(headers['x-should-retry']).toBe('true')
  })
})

/** Keeps the event loop busy in turns of this many milliseconds, until it is told to stop. */
function keepBusy(milliseconds: number): () => void {
  let next = setImmediate(work)
  function work() {
    const until = performance.now() + milliseconds
    while (performance.now() < until);
    next = setImmediate(work)
  }
  return () => clearImmediate(next)
}

describe('a gateway whose event loop is late', () => {
  it('refuses new streams, reads on with those it has, and recovers', async () => {
    const provider = new ScriptedProvider()
    const gateway = await startGateway({ maxEventLoopDelayMs: 100 }, { providers: [provider] })
    const create = () => chat(gateway.url, { model: 'scripted' })
    const reader = await create()
    const run = await provider.nextRun()
    const stop = keepBusy(300)
    onTestFinished(stop)
    let refused = await create()
    while (refused.status !== 503) refused = await create()
    expect((await refused.end()).json).toMatchObject({ code: 'overloaded' })
    expect(refused.headers['retry-after']).toBe('1')
    run.text('still ', 'here')
    await reader.until(({ text }) => text === 'still here')
    expect((await resume(gateway.url, reader.id)).status).toBe(200)
    expect((await open(`${gateway.url}/v1/models`)).status).toBe(200)
    stop()
    while ((await create()).status !== 200);
    expect(await gateway.metric(metric('overload'))).toBeGreaterThan(0)
  })

  it('takes them all when there is no limit', async () => {
    const gateway = await startGateway({ maxEventLoopDelayMs: 0 }, { providers: [new ScriptedProvider()] })
    onTestFinished(keepBusy(300))
    for (let i = 0; i < 8; i++) expect((await chat(gateway.url, { model: 'scripted' })).status).toBe(200)
  })
})

describe('a gateway with MAX_CONNECTIONS', () => {
  it('closes further connections, and takes new ones when one has gone', async () => {
    const { url } = await startGateway({ maxConnections: 2 })
    const connectTo = () => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1')
      onTestFinished(() => void socket.destroy())
      return socket
    }
    const sockets = [connectTo(), connectTo()]
    await Promise.all(sockets.map((socket) => once(socket, 'connect')))
    for (const socket of sockets) {
      socket.write('GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
      expect(String(await once(socket, 'data'))).toContain('200 OK')
    }
    const third = connectTo()
    third.on('error', () => {})
    await once(third.resume(), 'close')
    sockets[0]!.destroy()
    const statusOf = async () => (await open(`${url}/healthz`)).status
    while ((await statusOf().catch(() => 0)) !== 200);
  })

  it('does so over TLS, too', async () => {
    const { url } = await startGateway({ maxConnections: 1, ...TLS })
    const session = connectHttp2(url, { ca: CA })
    onTestFinished(() => session.destroy())
    await once(session, 'connect')
    const second = connectHttp2(url, { ca: CA })
    const [error] = await once(second, 'error')
    expect(error).toBeInstanceOf(Error)
  })
})
