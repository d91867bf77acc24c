import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { describe, expect, it, onTestFinished } from 'vitest'
import { defineProvider, type Provider } from '../../providers/provider.ts'
import type { Config } from '../../src/config.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { Http2Connection } from '../support/http2-client.ts'
import { open } from '../support/reader.ts'
import { TLS } from '../support/tls.ts'
import { startUpstream, type Answer } from '../support/upstream.ts'

const KEY = 'sk-upstream-123456'

const openaiAt = (url: string) => ({
  type: 'openai' as const,
  baseUrl: `${url}/v1`,
  headers: {},
  includeUsage: true,
  apiKey: KEY,
})

const ok: Answer = (response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":1}')
const fails =
  (status: number, message = 'No.', headers = {}): Answer =>
  (response) =>
    void response
      .writeHead(status, { 'content-type': 'application/json', ...headers })
      .end(JSON.stringify({ error: { message, type: 'some_type', param: null, code: 'some_code' } }))

/** Sends as much as is taken, without an end. */
const endless =
  (onSent: (bytes: number) => void = () => {}): Answer =>
  (response) => {
    const more = () => {
      let hasRoom = true
      while (hasRoom && !response.destroyed) {
        hasRoom = response.write(Buffer.alloc(65_536))
        onSent(65_536)
      }
    }
    response.writeHead(200).on('drain', more)
    more()
  }

async function gatewayTo(answers: Record<string, Answer>, settings: Partial<Config> = {}) {
  const upstreams = await Promise.all(
    Object.entries(answers).map(async ([name, answer]) => [name, await startUpstream(answer)] as const),
  )
  const gateway = await startGateway({
    providers: Object.fromEntries(upstreams.map(([name, { url }]) => [name, openaiAt(url)])),
    models: { m: Object.keys(answers).map((name) => `${name}/real`) },
    ...settings,
  })
  return { gateway, ...Object.fromEntries(upstreams) } as { gateway: TestGateway } & Record<
    string,
    Awaited<ReturnType<typeof startUpstream>>
  >
}

const embed = ({ url }: TestGateway, body: object = {}) =>
  open(`${url}/v1/embeddings`, { method: 'POST', body: { model: 'm', input: 'hi', ...body } })

/** A server of the test's own, when the request is not to be read first. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('a request that is passed on', () => {
  it('names the model of its target, and keeps the rest', async () => {
    const { gateway, a } = await gatewayTo({ a: ok })
    const reader = await (await embed(gateway, { dimensions: 3, other: [null] })).end()
    expect(a!.requests[0]).toMatchObject({
      path: '/v1/embeddings',
      body: { model: 'real', input: 'hi', dimensions: 3, other: [null] },
      headers: { authorization: `Bearer ${KEY}` },
    })
    expect(reader.headers).toMatchObject({ 'sluice-target': 'a/real', 'sluice-attempts': '1' })
  })

  it('is retried, and then goes to the next target', async () => {
    let count = 0
    const { gateway, b } = await gatewayTo({
      a: (response, request) => (count++ < 1 ? fails(503)(response, request) : fails(404)(response, request)),
      b: ok,
    })
    const reader = await (await embed(gateway)).end()
    expect(reader.json).toEqual({ ok: 1 })
    expect(reader.headers).toMatchObject({ 'sluice-target': 'b/real', 'sluice-attempts': '3' })
    expect(b!.requests).toHaveLength(1)
    const total = (provider: string, code: string) =>
      gateway.metric(`sluice_upstream_requests_total{provider="${provider}",code="${code}"}`)
    expect(await total('a', 'upstream_unavailable')).toBe(1)
    expect(await total('a', 'upstream_not_found')).toBe(1)
    expect(await total('b', 'ok')).toBe(1)
  })

  it('opens the breaker of a target that fails', async () => {
    const settings = { breaker: { failures: 1, cooldownMs: 60_000 } }
    const { gateway, a } = await gatewayTo({ a: fails(500) }, settings)
    expect((await (await embed(gateway)).end()).status).toBe(500)
    expect((await (await embed(gateway)).end()).status).toBe(503)
    expect(a!.requests).toHaveLength(1)
  })

  it('is given up when the upstream says nothing', async () => {
    const { gateway } = await gatewayTo(
      { a: () => {} },
      { models: { m: { target: 'a/real', retries: 0, firstTokenTimeoutMs: 50 } } },
    )
    const reader = await (await embed(gateway)).end()
    expect(reader.status).toBe(504)
    expect(reader.json).toMatchObject({ error: { code: 'upstream_timeout' } })
  })

  it('does not say what an upstream says of the key, nor the key', async () => {
    const { gateway } = await gatewayTo({ a: fails(401, `Wrong key ${KEY}`) })
    const reader = await (await embed(gateway)).end()
    expect(reader.status).toBe(502)
    expect(reader.body).not.toMatch(/sk-|Wrong/)
    const { gateway: other } = await gatewayTo({ a: fails(400, `Bad: ${KEY}`) })
    expect((await (await embed(other)).end()).json).toMatchObject({ error: { message: 'Bad: [redacted]' } })
  })

  it.each(['anthropic', 'module'])('to %s that does not serve it is a 404 that names it', async (type) => {
    const none = defineProvider({ name: 'module', async *stream() {} })
    const anthropic = { type: 'anthropic' as const, baseUrl: 'http://127.0.0.1:1', headers: {}, maxTokens: 1 }
    const { url } = await startGateway({ providers: { anthropic }, mock: true }, { providers: [none] })
    const reader = await (
      await open(`${url}/v1/audio/speech`, { method: 'POST', body: { model: `${type}/x`, input: 'hi', voice: 'a' } })
    ).end()
    expect(reader.status).toBe(404)
    expect(reader.json).toMatchObject({
      error: { message: `model: /audio/speech is not offered by ${type}`, param: 'model', code: 'not_found' },
    })
  })

  it('may have many values: tokens', async () => {
    const { gateway, a } = await gatewayTo({ a: ok })
    const input = Array.from({ length: 200 }, () => Array.from({ length: 1000 }, (_, i) => i))
    expect((await (await embed(gateway, { input })).end()).status).toBe(200)
    expect(a!.requests[0]!.body.input).toEqual(input)
  })
})

describe('a module', () => {
  const ask = async (forward: Provider['forward'], settings: Partial<Config> = {}) => {
    const module = defineProvider({ name: 'module', async *stream() {}, ...(forward && { forward }) })
    const gateway = await startGateway(settings, { providers: [module] })
    return (await embed(gateway, { model: 'module/x' })).end()
  }

  it('passes requests on with fetch', async () => {
    const upstream = await startUpstream(ok)
    const reader = await ask(async ({ route, body, contentType }, { signal }) => {
      const headers = { 'content-type': contentType }
      const init = { method: 'POST', headers, body: typeof body === 'string' ? body : '', signal }
      const response = await fetch(upstream.url + route, init)
      return { status: response.status, headers: new Map(response.headers), body: response.body ?? Readable.from([]) }
    })
    expect(reader.json).toEqual({ ok: 1 })
    expect(upstream.requests[0]!.body).toEqual({ model: 'x', input: 'hi' })
  })

  it.each<[what: string, forward: () => Promise<unknown>, status: number, code: string]>([
    ['that throws', () => Promise.reject(new Error(KEY)), 502, 'provider_failed'],
    ['that returns nothing', () => Promise.resolve(undefined), 502, 'provider_failed'],
    [
      'with no status',
      () => Promise.resolve({ status: 99, headers: new Map(), body: Readable.from([]) }),
      502,
      'provider_failed',
    ],
    ['that never answers', () => new Promise(() => {}), 504, 'upstream_timeout'],
  ])('%s is an error', async (_, forward, status, code) => {
    const reader = await ask(forward as Provider['forward'], { firstTokenTimeoutMs: 50 })
    expect(reader.status).toBe(status)
    expect(reader.json).toMatchObject({ error: { code } })
    expect(reader.body).not.toContain(KEY)
  })

  it('whose response never goes on is cut off', async () => {
    async function* body() {
      yield Buffer.from('half')
      await new Promise(() => {})
    }
    const reader = await ask(async () => ({ status: 200, headers: new Map(), body: body() }), { idleTimeoutMs: 50 })
    expect(reader.complete).toBe(false)
  })
})

describe('a response that is passed on', () => {
  it('keeps headers of the body and of rate limits, and no others', async () => {
    const { gateway } = await gatewayTo({
      a: (response) =>
        void response
          .writeHead(200, {
            'content-type': 'audio/mpeg',
            'content-length': 3,
            'x-ratelimit-remaining-tokens': '5',
            'set-cookie': 'a=b',
            'keep-alive': 'timeout=77',
            'access-control-allow-origin': '*',
            'x-api-key': KEY,
            'openai-organization': 'org',
          })
          .end('abc'),
    })
    const { headers, body } = await (await embed(gateway)).end()
    expect(body).toBe('abc')
    expect(headers).toMatchObject({
      'content-type': 'audio/mpeg',
      'content-length': '3',
      'x-ratelimit-remaining-tokens': '5',
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
    })
    for (const name of ['set-cookie', 'x-api-key', 'openai-organization', 'access-control-allow-origin'])
      expect(headers).not.toHaveProperty(name)
  })

  it('is cut off when the upstream breaks off, and counted', async () => {
    const { gateway } = await gatewayTo({
      a: (response) => void response.writeHead(200).write('half', () => response.destroy()),
    })
    const reader = await (await embed(gateway)).end()
    expect(reader.complete).toBe(false)
    expect(await gateway.metric('sluice_upstream_errors_total{provider="a",code="upstream_disconnected"}')).toBe(1)
  })

  it('is cut off when the upstream falls silent', async () => {
    const { gateway } = await gatewayTo(
      { a: (response) => void response.writeHead(200).write('half') },
      { idleTimeoutMs: 50 },
    )
    expect((await (await embed(gateway)).end()).complete).toBe(false)
  })

  it('is read no faster than the client reads, and ends the upstream when the client leaves', async () => {
    let sent = 0
    const { gateway, a } = await gatewayTo({
      a: endless((bytes) => (sent += bytes)),
    })
    const reader = await open(`${gateway.url}/v1/embeddings`, {
      method: 'POST',
      body: { model: 'm', input: 'hi' },
      paused: true,
    })
    for (let before = -1; before !== sent;) {
      before = sent
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
    expect(sent).toBeLessThan(40 * 1024 * 1024)
    expect(gateway.services.budget.bytes).toBeLessThan(1024 * 1024)
    reader.cut()
    await a!.requests[0]!.closed
    expect(gateway.services.budget.held('responses')).toBe(0)
    expect(await gateway.metric('sluice_upstream_requests_total{provider="a",code="cancelled"}')).toBe(1)
  })

  it('that a client does not read is given up', async () => {
    const { gateway, a } = await gatewayTo({ a: endless() }, { slowReaderMs: 300 })
    await open(`${gateway.url}/v1/embeddings`, { method: 'POST', body: { model: 'm', input: 'hi' }, paused: true })
    await a!.requests[0]!.closed
  })

  it('is waited for by a drain', async () => {
    let answer = () => {}
    const { gateway, a } = await gatewayTo(
      { a: (response) => void (answer = () => response.end('late')) },
      { drainMs: 10_000 },
    )
    const reading = embed(gateway)
    await a!.request(0)
    const drained = gateway.drain()
    answer()
    expect((await (await reading).end()).body).toBe('late')
    await drained
  })
})

const BOUNDARY = 'b0undary'
const part = (name: string, value: string, more = '') =>
  `--${BOUNDARY}\r\ncontent-disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`
const MODEL = part('model', 'm')
const FILE = part('file', 'x'.repeat(100_000), '; filename="a.wav"')
const END = `--${BOUNDARY}--\r\n`

/** Begins a request; the test sends the body as it likes. */
function begin({ url }: TestGateway, headers: string): { socket: Socket; answer: Promise<string> } {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {})
  socket.write(
    `POST /v1/audio/transcriptions HTTP/1.1\r\nhost: ${hostname}\r\ncontent-type: multipart/form-data; boundary=${BOUNDARY}\r\n${headers}\r\n\r\n`,
  )
  let text = ''
  socket.on('data', (bytes: Buffer) => (text += bytes.toString()))
  return { socket, answer: once(socket, 'close').then(() => text) }
}

async function upload(gateway: TestGateway, form: string) {
  const { socket, answer } = begin(gateway, `connection: close\r\ncontent-length: ${form.length}`)
  socket.write(form)
  return answer
}

describe('an upload', () => {
  it('reaches the upstream while it still comes', async () => {
    const url = await serve((request, response) => {
      request.once('data', () => response.writeHead(200).write('began'))
      request.on('end', () => response.end('ended'))
    })
    const gateway = await startGateway({ providers: { a: openaiAt(url) } })
    const { socket, answer } = begin(gateway, `connection: close\r\ncontent-length: ${(MODEL + FILE + END).length}`)
    socket.write(MODEL + FILE.slice(0, 50_000))
    await once(socket, 'data')
    socket.write(FILE.slice(50_000) + END)
    expect(await answer).toContain('ended')
  })

  it.each([
    ['before', MODEL + FILE + END],
    ['after', FILE + MODEL + END],
  ])('has its model replaced, with the file %s it', async (_, form) => {
    const { gateway, a } = await gatewayTo({ a: ok })
    expect(await upload(gateway, form)).toContain('{"ok":1}')
    const { bytes, headers } = a!.requests[0]!
    expect(bytes.toString()).toBe(form.replace(MODEL, part('model', 'real')))
    expect(headers['content-length']).toBe(String(bytes.length))
    expect(gateway.services.budget.held('requests')).toBe(0)
  })

  it('that was read whole is retried', async () => {
    let count = 0
    const { gateway, a } = await gatewayTo({ a: (...given) => (count++ === 0 ? fails(503) : ok)(...given) })
    expect(await upload(gateway, FILE + MODEL + END)).toContain('{"ok":1}')
    expect(a!.requests).toHaveLength(2)
    expect(a!.requests[1]!.bytes).toEqual(a!.requests[0]!.bytes)
  })

  it('that was passed on while it came is not', async () => {
    let asked = 0
    let onBegin: () => void = () => {}
    const begun = new Promise<void>((resolve) => (onBegin = resolve))
    const url = await serve((request, response) => {
      asked += 1
      request.once('data', onBegin)
      request.on('end', () => response.writeHead(503).end())
    })
    const b = await startUpstream(ok)
    const gateway = await startGateway({
      providers: { a: openaiAt(url), b: openaiAt(b.url) },
      models: { m: ['a/real', 'b/real'] },
    })
    const { socket, answer } = begin(gateway, `connection: close\r\ncontent-length: ${(MODEL + FILE + END).length}`)
    socket.write(MODEL + FILE.slice(0, 50_000))
    await begun
    socket.write(FILE.slice(50_000) + END)
    expect(await answer).toMatch(/^HTTP\/1\.1 503/)
    expect([asked, b.requests.length]).toEqual([1, 0])
  })

  it('that is too large is refused: announced, before its model, after it', async () => {
    const { gateway, a } = await gatewayTo({ a: ok }, { uploadLimit: 50_000 })
    expect(await upload(gateway, FILE + MODEL + END)).toMatch(/^HTTP\/1\.1 413/)
    for (const form of [FILE, MODEL + FILE]) {
      const { socket, answer } = begin(gateway, 'transfer-encoding: chunked')
      socket.write(`${form.length.toString(16)}\r\n${form}\r\n`)
      expect(await answer).toMatch(/^HTTP\/1\.1 413[^]*"code":"body_too_large"/)
    }
    expect(a!.requests).toEqual([])
    expect(gateway.services.budget.bytes).toBe(0)
  })

  it('that comes too slowly is refused', async () => {
    const { gateway } = await gatewayTo({ a: ok }, { slowReaderMs: 200 })
    for (const form of ['--', MODEL + FILE.slice(0, 10_000)]) {
      const { socket, answer } = begin(gateway, 'content-length: 100000')
      socket.write(form)
      expect(await answer).toMatch(/^HTTP\/1\.1 408/)
    }
    expect(gateway.services.budget.bytes).toBe(0)
  })

  it('whose client leaves leaves nothing', async () => {
    const { gateway } = await gatewayTo({ a: ok })
    const { budget, heartbeat } = gateway.services
    for (const form of ['--', MODEL + FILE.slice(0, 10_000)]) {
      const { socket } = begin(gateway, 'content-length: 100000')
      socket.write(form)
      await expect.poll(() => [budget.bytes > 0, heartbeat.size > 0]).toEqual([true, true])
      socket.destroy()
      await expect.poll(() => [budget.bytes, heartbeat.size]).toEqual([0, 0])
    }
  })

  it('is refused when its form is no form', async () => {
    const { gateway, a } = await gatewayTo({ a: ok })
    const forms = [
      MODEL,
      MODEL + MODEL + END,
      FILE + MODEL.replace('name="model"', 'name="model"; filename="x"') + END,
      MODEL.replace('name="model"', "name*=utf-8''model") + END,
      part('model', 'm'.repeat(300)) + END,
    ]
    for (const form of forms) expect(await upload(gateway, form)).toMatch(/^HTTP\/1\.1 400/)
    const { url } = gateway
    const reader = await (await open(`${url}/v1/audio/translations`, { method: 'POST', body: { model: 'm' } })).end()
    expect(reader.status).toBe(415)
    expect(a!.requests.length).toBeLessThanOrEqual(1)
  })
})

describe('over HTTP/2', () => {
  const form = FILE + MODEL + END
  const headers = { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` }
  const path = '/v1/audio/transcriptions'

  it('an upload is passed on, with its length and without', async () => {
    const { gateway, a } = await gatewayTo({ a: ok }, TLS)
    const connection = await Http2Connection.open(gateway.url)
    for (const more of [{ 'content-length': String(form.length) }, {}]) {
      const options = { method: 'POST', body: form, headers: { ...headers, ...more } }
      expect((await (await connection.request(path, options)).end()).json).toEqual({ ok: 1 })
    }
    for (const { bytes } of a!.requests) expect(bytes.toString()).toBe(form.replace(MODEL, part('model', 'real')))
  })

  it('an upload that is too large, and a response that breaks off, end their stream only', async () => {
    const breaks: Answer = (response) => void response.writeHead(200).write('half', () => response.destroy())
    const { gateway } = await gatewayTo({ a: breaks }, { ...TLS, uploadLimit: 10_000 })
    const connection = await Http2Connection.open(gateway.url)
    const refused = await (await connection.request(path, { method: 'POST', body: form, headers })).end()
    expect(refused.json).toMatchObject({ error: { code: 'body_too_large' } })
    const json = { method: 'POST', body: { model: 'm', input: 'hi' } }
    expect((await (await connection.request('/v1/embeddings', json)).end()).complete).toBe(false)
    expect((await (await connection.request('/v1/models')).end()).status).toBe(200)
  })
})
