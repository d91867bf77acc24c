import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { streamDigest } from '../../src/telemetry/redact.ts'
import { startGateway } from '../support/gateway.ts'
import { answers, refuses, text } from '../support/openai-upstream.ts'
import { quietPort } from '../support/quiet-port.ts'
import { chat, open, resume } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { CA, TLS } from '../support/tls.ts'
import { startUpstream } from '../support/upstream.ts'

const messages = [{ role: 'user', content: 'the prompt' }]
const SECRET = 'sk-secret-of-the-upstream'

function openai(baseUrl: string, more: object = {}) {
  const fields = { apiKey: SECRET, models: ['m'], headers: {}, includeUsage: true }
  return { type: 'openai' as const, baseUrl, ...fields, ...more }
}

const once = (target: string) => ({ target, retries: 0 })

/** A gateway with one upstream, which is asked once for `m`. */
function startWith(upstream: ReturnType<typeof openai>) {
  return startGateway({ providers: { upstream }, models: { m: [once('upstream/m')] } })
}

describe('the log of a stream whose first attempts failed', () => {
  it('is joined by the stream, and by each request', async () => {
    const port = quietPort()
    const broken = await startUpstream(refuses(503, 'server_error'))
    const good = await startUpstream(answers(text))
    const gateway = await startGateway({
      providers: {
        gone: openai(`http://127.0.0.1:${port}/v1?key=${SECRET}`),
        broken: openai(broken.url),
        good: openai(good.url),
      },
      models: { assistant: ['gone/m', 'broken/m', 'good/m'].map(once) },
    })
    const first = await (
      await chat(gateway.url, { messages, model: 'assistant' }, { headers: { 'x-request-id': 'first' } })
    ).end()
    const again = await (await resume(gateway.url, first.id, 1)).end()
    expect(first.dones).toMatchObject([{ finish_reason: 'stop' }])

    const stream = streamDigest(first.id)
    const client = '127.0.0.1'
    const lines = gateway.logs.filter((line) => line.stream === stream)
    expect(lines).toHaveLength(5)
    expect(lines.filter(({ request_id }) => request_id === 'first')).toMatchObject([
      {
        msg: 'attempt failed',
        attempt: 1,
        target: 'gone/m',
        error: 'upstream_unreachable',
        cause: { errno: 'ECONNREFUSED', host: '127.0.0.1', port },
      },
      { msg: 'attempt failed', attempt: 2, target: 'broken/m', error: 'upstream_unavailable', upstream_status: 503 },
      { msg: 'generation ended', attempts: 3, provider: 'good', finish_reason: 'stop' },
      { msg: 'request', method: 'POST', path: '/v1/chat', client },
    ])
    expect(lines.filter(({ request_id }) => request_id === again.headers['x-request-id'])).toMatchObject([
      { msg: 'request', method: 'GET', path: `/v1/streams/${stream}`, client },
    ])
    expect(JSON.stringify(gateway.logs)).not.toMatch(/secret|the prompt|http:\/\/127/)
  })
})

describe('an attempt that fails is logged with its cause', () => {
  const attemptsOf = (logs: readonly Record<string, unknown>[]) =>
    logs.filter(({ msg }) => msg === 'attempt failed').map(({ cause }) => cause)

  it('by host, port and errno, which the reader is not told', async () => {
    const port = quietPort()
    const gateway = await startWith(openai(`http://127.0.0.1:${port}/v1`))
    const { dones, body } = await (await chat(gateway.url, { messages, model: 'm' })).end()
    expect(dones).toMatchObject([
      { error: { code: 'upstream_unreachable', message: 'The upstream cannot be reached.' } },
    ])
    expect(body).not.toMatch(new RegExp(`ECONN|${port}`))
    expect(attemptsOf(gateway.logs)).toEqual([{ errno: 'ECONNREFUSED', host: '127.0.0.1', port }])
  })

  it('when its certificate is not trusted', async () => {
    const upstream = await startUpstream(answers(text), { cert: CA, key: readFileSync(TLS.tlsKey) })
    const gateway = await startWith(openai(upstream.url))
    await (await chat(gateway.url, { messages, model: 'm' })).end()
    const { port } = new URL(upstream.url)
    expect(attemptsOf(gateway.logs)).toMatchObject([
      { errno: expect.stringMatching(/CERT|VERIFY/), port: Number(port) },
    ])
  })

  it('when the proxy in front cannot be reached, by the address of the proxy', async () => {
    const port = quietPort()
    const upstream = await startUpstream(answers(text))
    const proxy = `http://user:${SECRET}@127.0.0.1:${port}`
    const gateway = await startWith(openai(upstream.url, { proxy }))
    await (await chat(gateway.url, { messages, model: 'm' })).end()
    expect(attemptsOf(gateway.logs)).toEqual([{ type: 'ProxyError', errno: 'ECONNREFUSED', host: '127.0.0.1', port }])
    expect(JSON.stringify(gateway.logs)).not.toContain(SECRET)
  })

  it('when the upstream closes the connection in its answer', async () => {
    const upstream = await startUpstream(
      (response) => void response.writeHead(200).write(': \n', () => response.destroy()),
    )
    const gateway = await startWith(openai(upstream.url))
    await (await chat(gateway.url, { messages, model: 'm' })).end()
    const { port } = new URL(upstream.url)
    expect(attemptsOf(gateway.logs)).toMatchObject([{ host: '127.0.0.1', port: Number(port) }])
  })

  it('also for a request that is passed on, which has no stream', async () => {
    const port = quietPort()
    const gateway = await startWith(openai(`http://127.0.0.1:${port}/v1`))
    const body = { model: 'm', input: 'the prompt' }
    const headers = { 'x-request-id': 'passed-on' }
    await (await open(`${gateway.url}/v1/embeddings`, { method: 'POST', body, headers })).end()
    const lines = gateway.logs.filter(({ request_id }) => request_id === 'passed-on')
    expect(lines).toMatchObject([
      { msg: 'attempt failed', attempt: 1, target: 'upstream/m', cause: { errno: 'ECONNREFUSED', port } },
      { msg: 'request', status: 502 },
    ])
    expect(lines[0]).not.toHaveProperty('stream')
  })
})

describe('a bug in a module', () => {
  async function run(logLevel: string) {
    const provider = new ScriptedProvider()
    const providers = { other: openai('http://127.0.0.1:9/v1') }
    const gateway = await startGateway(
      { providers, ticketSecret: ['ticket-secret'] },
      { providers: [provider], logLevel },
    )
    const reader = await chat(gateway.url, { messages, model: 'scripted' })
    ;(await provider.nextRun()).fail(new TypeError(`x is no function, with ${SECRET} and ticket-secret`))
    await reader.end()
    return gateway.logs.find(({ msg }) => msg === 'attempt failed')
  }

  it('is logged with its message at debug level, without the secrets of the configuration', async () => {
    expect(await run('debug')).toMatchObject({
      error: 'provider_failed',
      err: {
        type: 'TypeError',
        message: 'x is no function, with ******** and ********',
        stack: expect.stringContaining('joinable-logs.test.ts'),
      },
    })
  })

  it('is logged with type and stack only above it', async () => {
    const line = await run('info')
    expect(line).toMatchObject({ err: { type: 'TypeError', stack: expect.stringContaining('joinable-logs.test.ts') } })
    expect(JSON.stringify(line)).not.toContain('is no function')
  })
})

describe('the address of a client in the log', () => {
  async function addressOf(trustProxy: number, forwarded: string) {
    const gateway = await startGateway({ trustProxy })
    await (await open(`${gateway.url}/v1/models`, { headers: { 'x-forwarded-for': forwarded } })).end()
    return gateway.logs.find(({ msg }) => msg === 'request')?.client
  }

  it.each([
    ['is its socket’s without a proxy, whatever it claims', 0, '203.0.113.7', '127.0.0.1'],
    ['is the one that the proxy saw', 1, '203.0.113.7', '203.0.113.7'],
    ['is the one that the proxy saw, not the ones that the client sent', 1, '10.0.0.1, 203.0.113.7', '203.0.113.7'],
    ['is the one that the first of two proxies saw', 2, '10.0.0.1, 203.0.113.7, 192.0.2.1', '203.0.113.7'],
    ['is whole for IPv6, without its port', 1, '[2001:db8:1:2:3:4:5:6]:443', '2001:db8:1:2:3:4:5:6'],
    ['is left out when the proxy passes on a text that is none', 1, 'a-secret', undefined],
  ])('%s', async (_, trustProxy, forwarded, logged) => {
    expect(await addressOf(trustProxy, forwarded)).toBe(logged)
  })
})
