import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { chat, open, resume } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { startUpstream } from '../support/upstream.ts'

const KB = 1024
const MB = 1024 * KB
const full = { status: 503, code: 'store_full', retryable: true }

const held = (gateway: TestGateway, kind: string) => gateway.metric(`sluice_memory_bytes{kind="${kind}"}`)

/** A connection that has sent the head of a request with `length` bytes, and of its body only `sent`. */
async function slowBody({ url }: TestGateway, length: number, sent = ''): Promise<Socket> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname).on('error', () => {})
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  socket.write(
    `POST /v1/chat HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n${sent}`,
  )
  return socket
}

async function answerOn(socket: Socket): Promise<string> {
  let answer = ''
  socket.setEncoding('latin1').on('data', (text: string) => (answer += text))
  await once(socket, 'close')
  return answer
}

describe('the memory of a gateway', () => {
  it('counts bodies while they arrive, and refuses one before reading it when there is no room', async () => {
    const gateway = await startGateway({ storeMaxBytes: 40 * MB })
    const most = ' '.repeat(7 * MB)
    const first = [0, 1, 2].map(() => slowBody(gateway, 8 * MB, most))
    await expect.poll(() => held(gateway, 'requests')).toBeGreaterThan(26 * MB)
    const refused = await answerOn(await slowBody(gateway, 8 * MB))
    expect(refused).toMatch(/^HTTP\/1\.1 503 [^]*connection: close[^]*"code":"store_full"/i)
    for (const socket of first) (await socket).destroy()
    await expect.poll(() => held(gateway, 'requests')).toBe(0)
    expect((await chat(gateway.url, { mock: { tokens: 1 } })).status).toBe(200)
  })

  it('counts a body of unknown length while it arrives', async () => {
    const gateway = await startGateway()
    const { hostname, port } = new URL(gateway.url)
    const socket = connect(Number(port), hostname).on('error', () => {})
    onTestFinished(() => void socket.destroy())
    const head = 'POST /v1/chat HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n'
    socket.write(`${head}transfer-encoding: chunked\r\n\r\n100000\r\n${' '.repeat(MB)}\r\n`)
    await expect.poll(() => held(gateway, 'requests')).toBeGreaterThanOrEqual(MB)
    socket.destroy()
    await expect.poll(() => held(gateway, 'requests')).toBe(0)
  })

  it('counts a prompt until its answer begins', async () => {
    const provider = new ScriptedProvider()
    const gateway = await startGateway({}, { providers: [provider] })
    const messages = [{ role: 'user', content: 'x'.repeat(MB) }]
    const readers = [
      chat(gateway.url, { model: 'scripted', messages }),
      chat(gateway.url, { model: 'scripted', messages }),
    ]
    const runs = [await provider.nextRun(), await provider.nextRun()]
    expect(await held(gateway, 'prompts')).toBeGreaterThan(2 * MB)
    runs[0]!.text('a')
    await expect.poll(() => held(gateway, 'prompts')).toBeLessThan(1.1 * MB)
    ;(await readers[1]!).cut()
    runs[1]!.fail(new Error('It failed.'))
    await expect.poll(() => held(gateway, 'prompts')).toBe(0)
  })

  it('counts an unfinished event of an upstream until it is complete or the stream has ended', async () => {
    const responses: ServerResponse[] = []
    const upstream = await startUpstream((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(`data: {"x":"${'x'.repeat(4 * MB)}`)
      responses.push(response)
    })
    const gateway = await startGateway({
      resumeWindowMs: 0,
      providers: { local: { type: 'openai', baseUrl: upstream.url, headers: {}, includeUsage: true } },
    })
    const readers = [await chat(gateway.url, { model: 'local/m' }), await chat(gateway.url, { model: 'local/m' })]
    await expect.poll(() => held(gateway, 'streams')).toBeGreaterThan(8 * MB)
    responses[0]!.write('"}\n\n')
    await expect.poll(() => held(gateway, 'streams')).toBeLessThan(5 * MB)
    for (const reader of readers) reader.cut()
    await expect.poll(() => held(gateway, 'streams')).toBe(0)
  })

  it('is released when a caller leaves with requests queued behind another', async () => {
    const provider = new ScriptedProvider()
    const gateway = await startGateway({ sdkResumeWindowMs: 0, resumeWindowMs: 0 }, { providers: [provider] })
    const { hostname, port } = new URL(gateway.url)
    const socket = connect(Number(port), hostname).on('error', () => {})
    const body = JSON.stringify({ model: 'scripted', stream: true, messages: [{ role: 'user', content: 'hi' }] })
    const head = 'POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n'
    const request = `${head}content-length: ${body.length}\r\n\r\n${body}`
    socket.write(request + request + request)
    const runs = [await provider.nextRun(), await provider.nextRun(), await provider.nextRun()]
    socket.destroy()
    await Promise.all(runs.map(({ aborted }) => aborted))
    for (const kind of ['running', 'streams', 'readers', 'responses', 'requests', 'prompts'])
      await expect.poll(() => held(gateway, kind)).toBe(0)
    expect(gateway.services.generations.size).toBe(0)
  })

  it('is zero once all streams have expired', async () => {
    const gateway = await startGateway({ retentionMs: 1 })
    const headers = { 'idempotency-key': 'k' }
    for (const accept of ['text/event-stream', 'application/json'])
      await (
        await chat(gateway.url, { mock: { tokens: 3, interval_ms: 0 } }, { headers: { ...headers, accept } })
      ).end()
    for (const kind of ['running', 'finished', 'streams', 'readers', 'requests', 'prompts'])
      await expect.poll(() => held(gateway, kind)).toBe(0)
  })

  it('is not filled by decompressing a small body', async () => {
    const gateway = await startGateway()
    const body = gzipSync(`{"messages":[${'0,'.repeat(4 * MB)}0]}`)
    expect(body.length).toBeLessThan(100 * KB)
    const answer = await fetch(`${gateway.url}/v1/chat`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      body,
    })
    expect(answer.status).toBe(413)
    expect(await answer.json()).toMatchObject({
      code: 'body_too_large',
      detail: 'The body is more than 100 times its compressed size.',
    })
  })
})

describe('a full gateway', () => {
  const limits = { storeMaxBytes: 2 * MB, streamMaxBytes: MB }

  it('ends the largest stream, not the one that grows a little', async () => {
    const provider = new ScriptedProvider()
    const gateway = await startGateway(limits, { providers: [provider] })
    const honest = await chat(gateway.url, { model: 'scripted' })
    const small = await provider.nextRun()
    const greedy = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const reader = await chat(gateway.url, { model: 'scripted' })
        return { reader, run: await provider.nextRun() }
      }),
    )
    for (let grown = 50; grown <= 750; grown += 50)
      for (const { reader, run } of greedy) {
        run.text('x'.repeat(50 * KB))
        await reader.until(({ text, dones }) => text.length === grown * KB || dones.length > 0)
      }
    small.text('still here')
    small.done()
    await honest.end()
    expect(honest.text).toBe('still here')
    expect(honest.dones[0]).toMatchObject({ finish_reason: 'stop' })
    expect(greedy.flatMap(({ reader }) => reader.dones.map(({ error }) => error?.code))).toContain('store_full')
    expect(gateway.services.budget.bytes).toBeLessThanOrEqual(2 * MB)
  })

  it('refuses new streams, and still serves metrics', async () => {
    const provider = new ScriptedProvider()
    const gateway = await startGateway(limits, { providers: [provider] })
    const readers = []
    for (let i = 0; i < 2; i++) {
      readers.push(await chat(gateway.url, { model: 'scripted' }))
      ;(await provider.nextRun()).text('x'.repeat(900 * KB))
      await readers[i]!.until(({ text }) => text.length > 0)
    }
    const refused = await chat(gateway.url, { model: 'scripted' })
    await refused.end()
    expect(refused.json).toMatchObject(full)
    expect(refused.headers['retry-after']).toBe('5')
    expect((await open(`${gateway.url}/metrics`)).status).toBe(200)
    expect((await open(`${gateway.url}/readyz`)).status).toBe(200)
  })

  it('refuses another reader, and another answer of a joined stream', async () => {
    const gateway = await startGateway({ storeMaxBytes: 2 * MB, slowReaderMs: 60_000 })
    const fields = { mock: { text: 'x'.repeat(200 * KB), interval_ms: 0 } }
    const headers = { 'idempotency-key': 'k', accept: 'application/json' }
    const first = await (await chat(gateway.url, fields, { headers })).end()
    const hold = gateway.services.budget.hold('prompts', '127.0.0.1', 1.3 * MB)
    expect((await chat(gateway.url, fields, { headers })).status).toBe(503)
    hold.release()
    expect((await (await chat(gateway.url, fields, { headers })).end()).json).toMatchObject({ id: first.id })
    const more = gateway.services.budget.hold('prompts', '127.0.0.1', 1.499 * MB)
    expect((await resume(gateway.url, first.id)).status).toBe(503)
    more.release()
    expect((await resume(gateway.url, first.id)).status).toBe(200)
  })

  it('gives another client its share', async () => {
    const provider = new ScriptedProvider()
    const gateway = await startGateway({ ...limits, trustProxy: 1 }, { providers: [provider] })
    const from = (client: string) => ({ headers: { 'x-forwarded-for': `10.9.9.9, ${client}` } })
    const greedy = []
    for (let i = 0; i < 2; i++) {
      greedy.push(await chat(gateway.url, { model: 'scripted' }, from('203.0.113.1')))
      ;(await provider.nextRun()).text('x'.repeat(750 * KB))
      await greedy[i]!.until(({ text }) => text.length > 0)
    }
    expect((await chat(gateway.url, { model: 'scripted' }, from('203.0.113.1'))).status).toBe(503)
    const other = await chat(gateway.url, { model: 'scripted' }, from('203.0.113.2'))
    expect(other.status).toBe(200)
    ;(await provider.nextRun()).text('hello')
    await other.until(({ text }) => text === 'hello')
  })

  it('counts a finished stream while it is being read', async () => {
    const gateway = await startGateway({ retentionMs: 1 })
    const created = await chat(gateway.url, { mock: { text: 'x'.repeat(4 * MB), interval_ms: 0 } }, { paused: true })
    await gateway.services.generations.idle()
    await expect.poll(async () => (await resume(gateway.url, created.id)).status).toBe(410)
    expect(await held(gateway, 'finished')).toBeGreaterThan(4 * MB)
    created.cut()
    await expect.poll(() => held(gateway, 'finished')).toBe(0)
  })
})

describe('a request body', () => {
  it('that stops arriving is refused with 408', async () => {
    const gateway = await startGateway({ slowReaderMs: 100 })
    const answer = await answerOn(await slowBody(gateway, 1000, '{"messages":'))
    expect(answer).toMatch(/^HTTP\/1\.1 408 [^]*"code":"request_timeout"/)
    await expect.poll(() => held(gateway, 'requests')).toBe(0)
  })

  it('that was given up is not read on while its answer waits for another', async () => {
    const provider = new ScriptedProvider()
    const gateway = await startGateway({ slowReaderMs: 100 }, { providers: [provider] })
    const stream = await chat(gateway.url, { model: 'scripted' })
    await provider.nextRun()
    const { hostname, port } = new URL(gateway.url)
    const socket = connect(Number(port), hostname)
    socket.on('error', () => {}).resume()
    onTestFinished(() => void socket.destroy())
    const head = 'POST /v1/chat HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n'
    const read = `GET /v1/streams/${stream.id} HTTP/1.1\r\nhost: localhost\r\n\r\n`
    socket.write(`${read}${head}content-length: ${8 * MB}\r\n\r\n{`)
    await expect.poll(() => gateway.logs.filter(({ error }) => error === 'request_timeout')).toHaveLength(1)
    socket.write(' '.repeat(7 * MB))
    await expect.poll(() => socket.bytesWritten - socket.writableLength).toBeGreaterThan(0)
    expect(await held(gateway, 'requests')).toBe(16 * KB)
    socket.destroy()
    await expect.poll(() => held(gateway, 'requests')).toBe(0)
  })

  it.each([
    ['is nested too deeply', `{"messages":[],"x":${'['.repeat(200)}${']'.repeat(200)}}`, 'nested more than 128 levels'],
    ['has too many values', `{"messages":[],"x":[${'0,'.repeat(200_000)}0]}`, 'more than 100000 values and names'],
    ['would set a prototype', '{"messages":[],"x":{"__pro\\u0074o__":{"a":1}}}', '__proto__: is not allowed as a name'],
  ])('that %s is refused with the reason', async (_, body, words) => {
    const { url } = await startGateway()
    const answer = await (await open(`${url}/v1/chat`, { method: 'POST', body })).end()
    expect(answer.status).toBe(400)
    expect(answer.json).toMatchObject({ code: 'invalid_request', detail: expect.stringContaining(words) })
  })

  it('may mention __proto__', async () => {
    const { url } = await startGateway()
    const messages = [{ role: 'user', content: 'what is "__proto__": for?' }]
    expect((await chat(url, { messages, mock: { tokens: 1 } })).status).toBe(200)
  })
})
