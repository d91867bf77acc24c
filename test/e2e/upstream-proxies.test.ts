import { readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { openai } from '../../providers/openai/openai.ts'
import { openaiOptions } from '../../providers/options.ts'
import type { Provider } from '../../providers/provider.ts'
import { ConfigError } from '../../src/errors.ts'
import { pipeToSink } from '../../src/stream/source.ts'
import { startForwardProxy, type ForwardProxyOptions } from '../support/forward-proxy.ts'
import { CA, TLS } from '../support/tls.ts'
import { chatChunks, chunk, startUpstream, type Answer } from '../support/upstream.ts'

const CREDENTIALS = 'gate:s3cret%21word'
const AUTHORIZATION = `Basic ${Buffer.from('gate:s3cret!word').toString('base64')}`
const VARIABLES = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy']
const SERVER_TLS = { cert: CA, key: readFileSync(TLS.tlsKey) }

beforeEach(() => {
  for (const name of VARIABLES) vi.stubEnv(name, '')
})

afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
})

const answers: Answer = (response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.end(chatChunks(chunk({ content: 'hello' }), chunk({}, { finish_reason: 'stop' }), '[DONE]'))
}

function create(options: Record<string, unknown>): Provider {
  const provider = openai({ name: 'x', ...openaiOptions.parse(options) })
  onTestFinished(() => provider.close?.())
  return provider
}

/** The text of a provider's answer, or its error. */
function ask(options: Record<string, unknown>, provider = create(options)): Promise<unknown> {
  const context = { signal: new AbortController().signal, streamId: 'str_1', options: {}, connectTimeoutMs: 10_000 }
  return new Promise((resolve) => {
    let text = ''
    pipeToSink(provider.stream({ model: 'm', messages: [] }, context), {
      push(events) {
        for (const event of events)
          if (event.type === 'delta') text += event.content ?? ''
          else resolve(text)
      },
      end: (failure) => resolve(failure?.error),
    })
  })
}

async function start(options: Partial<ForwardProxyOptions> & { https?: boolean } = {}) {
  const { https = false, ...rest } = options
  const upstream = await startUpstream(answers, https ? SERVER_TLS : undefined)
  const proxy = await startForwardProxy({ to: upstream.url, ...rest })
  const scheme = rest.tls ? 'https' : 'http'
  return {
    upstream,
    proxy,
    url: `${scheme}://${rest.tls ? 'localhost' : '127.0.0.1'}:${proxy.port}`,
    withCredentials: `${scheme}://${CREDENTIALS}@${rest.tls ? 'localhost' : '127.0.0.1'}:${proxy.port}`,
  }
}

describe('an upstream behind a proxy', () => {
  it('is reached by CONNECT when it speaks HTTPS; the proxy sees neither key nor request', async () => {
    const { upstream, proxy, withCredentials } = await start({ https: true })
    expect(await ask({ baseUrl: `${upstream.url}/v1`, apiKey: 'sk-1', proxy: withCredentials, ca: TLS.tlsCert })).toBe(
      'hello',
    )
    const { port } = new URL(upstream.url)
    expect(proxy.asked).toEqual([{ method: 'CONNECT', target: `localhost:${port}`, authorization: AUTHORIZATION }])
    const [request] = upstream.requests
    expect(request).toMatchObject({ path: '/v1/chat/completions', headers: { host: `localhost:${port}` } })
    expect(request!.headers).not.toHaveProperty('proxy-authorization')
  })

  it('is reached by CONNECT through a proxy that itself speaks HTTPS', async () => {
    const { upstream, proxy, url } = await start({ https: true, tls: SERVER_TLS })
    expect(await ask({ baseUrl: upstream.url, proxy: url, ca: TLS.tlsCert })).toBe('hello')
    expect(proxy.asked).toMatchObject([{ method: 'CONNECT', authorization: undefined }])
  })

  it('is reached by its whole URL when it speaks HTTP', async () => {
    const { upstream, proxy, withCredentials } = await start()
    expect(await ask({ baseUrl: 'http://llm.test/v1?key=1', proxy: withCredentials })).toBe('hello')
    expect(proxy.asked).toEqual([
      { method: 'POST', target: 'http://llm.test/v1/chat/completions?key=1', authorization: AUTHORIZATION },
    ])
    expect(upstream.requests[0]).toMatchObject({ path: '/v1/chat/completions?key=1', headers: { host: 'llm.test' } })
  })

  it('is reached over one tunnel for several requests', async () => {
    const { upstream, proxy, url } = await start({ https: true })
    const options = { baseUrl: upstream.url, proxy: url, ca: TLS.tlsCert }
    const provider = create(options)
    for (let i = 0; i < 3; i++) {
      expect(await ask(options, provider)).toBe('hello')
      // The connection is idle when the end of the response has been read.
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(upstream.requests).toHaveLength(3)
    expect(proxy.asked).toHaveLength(1)
  })

  it.each([407, 502])('cannot be reached when the proxy answers CONNECT with %i', async (refuse) => {
    const { upstream, proxy, url, withCredentials } = await start({ https: true, refuse })
    const failure = await ask({ baseUrl: upstream.url, proxy: withCredentials, ca: TLS.tlsCert })
    expect(failure).toMatchObject({
      code: 'upstream_unreachable',
      message: `The proxy ${url} refused to connect to the upstream: it answered ${refuse}.`,
    })
    expect(proxy.asked).toHaveLength(1)
    expect(upstream.requests).toHaveLength(0)
  })

  it('cannot be reached when the proxy wants credentials for a whole URL', async () => {
    const { url } = await start({ refuse: 407 })
    expect(await ask({ baseUrl: 'http://llm.test/v1', proxy: url })).toMatchObject({
      code: 'upstream_unreachable',
      message: `The proxy ${url} refused to connect to the upstream: it answered 407.`,
    })
  })

  it('cannot be reached when the proxy is not there', async () => {
    expect(await ask({ baseUrl: 'https://llm.test/v1', proxy: `http://${CREDENTIALS}@127.0.0.1:9` })).toMatchObject({
      code: 'upstream_unreachable',
      message: 'The proxy http://127.0.0.1:9 cannot be reached.',
    })
  })

  it('is refused when its certificate is not trusted, whatever the proxy is', async () => {
    const { upstream, url } = await start({ https: true })
    expect(await ask({ baseUrl: upstream.url, proxy: url })).toMatchObject({
      code: 'upstream_unreachable',
      message: 'The upstream cannot be reached.',
    })
    expect(upstream.requests).toHaveLength(0)
  })
})

describe('the environment', () => {
  it.each(['HTTP_PROXY', 'http_proxy'])('names the proxy of HTTP upstreams in %s', async (name) => {
    const { proxy, url } = await start()
    vi.stubEnv(name, url)
    expect(await ask({ baseUrl: 'http://llm.test/v1' })).toBe('hello')
    expect(proxy.asked).toHaveLength(1)
  })

  it.each(['HTTPS_PROXY', 'https_proxy'])('names the proxy of HTTPS upstreams in %s', async (name) => {
    vi.spyOn(tls, 'checkServerIdentity').mockReturnValue(undefined)
    const { proxy, url } = await start({ https: true })
    vi.stubEnv(name, url)
    expect(await ask({ baseUrl: 'https://llm.test/v1', ca: TLS.tlsCert })).toBe('hello')
    expect(proxy.asked).toMatchObject([{ method: 'CONNECT', target: 'llm.test:443' }])
  })

  it.each(['NO_PROXY', 'no_proxy'])('excepts upstreams in %s', async (name) => {
    const { proxy, url } = await start()
    vi.stubEnv('HTTP_PROXY', url)
    vi.stubEnv(name, 'other.test, .test')
    expect(await ask({ baseUrl: 'http://llm.test:9/v1' })).toMatchObject({ code: 'upstream_unreachable' })
    expect(proxy.asked).toEqual([])
  })

  it('is overruled by the provider: another proxy, or none', async () => {
    const { proxy, url } = await start()
    vi.stubEnv('HTTP_PROXY', 'http://127.0.0.1:9')
    vi.stubEnv('NO_PROXY', '*')
    expect(await ask({ baseUrl: 'http://llm.test/v1', proxy: url })).toBe('hello')
    vi.stubEnv('HTTP_PROXY', url)
    vi.stubEnv('NO_PROXY', '')
    expect(await ask({ baseUrl: 'http://llm.test:9/v1', proxy: false })).toMatchObject({
      message: 'The upstream cannot be reached.',
    })
    expect(proxy.asked).toHaveLength(1)
  })

  it('does not send loopback upstreams through a proxy, which a provider may', async () => {
    const { upstream, proxy, url } = await start()
    vi.stubEnv('HTTP_PROXY', url)
    const { port } = new URL(upstream.url)
    for (const host of ['127.0.0.1', 'localhost'])
      expect(await ask({ baseUrl: `http://${host}:${port}` })).toBe('hello')
    expect(proxy.asked).toEqual([])
    expect(await ask({ baseUrl: upstream.url, proxy: url })).toBe('hello')
    expect(proxy.asked).toHaveLength(1)
  })
})

describe('the certificates of a provider', () => {
  it('are shown to an upstream that asks for one', async () => {
    const upstream = await startUpstream(answers, { ...SERVER_TLS, requestCert: true, ca: CA })
    const baseUrl = upstream.url
    expect(await ask({ baseUrl, ca: TLS.tlsCert, cert: TLS.tlsCert, key: TLS.tlsKey })).toBe('hello')
    expect(await ask({ baseUrl, ca: TLS.tlsCert })).toMatchObject({ code: expect.stringMatching(/^upstream_/) })
    expect(upstream.requests).toHaveLength(1)
  })

  const empty = join(tmpdir(), 'sluice-not-a-certificate.pem')

  it.each<[field: string, message: RegExp, files: Record<string, string>]>([
    ['ca', /^\/none\/ca\.pem cannot be read: ENOENT/, { ca: '/none/ca.pem' }],
    ['cert', /^\/none\/cert\.pem cannot be read: ENOENT/, { cert: '/none/cert.pem', key: TLS.tlsKey }],
    ['key', /^\/none\/key\.pem cannot be read: ENOENT/, { cert: TLS.tlsCert, key: '/none/key.pem' }],
    ['key', /^is missing, where cert is set$/, { cert: TLS.tlsCert }],
    ['cert', /^is missing, where key is set$/, { key: TLS.tlsKey }],
    ['ca', /is not a PEM certificate/, { ca: empty }],
    ['cert', /is not a PEM certificate/, { cert: TLS.tlsKey, key: TLS.tlsKey }],
    [
      'key',
      /is not the PEM key of the certificate/,
      { cert: TLS.tlsCert, key: TLS.tlsKey.replace('key', 'other-key') },
    ],
  ])('are refused by the field: %s, %s', async (field, message, files) => {
    writeFileSync(empty, 'no certificate')
    const fault = await Promise.resolve()
      .then(() => ask({ baseUrl: 'https://llm.test', ...files }))
      .catch((error: unknown) => error)
    expect(fault).toBeInstanceOf(ConfigError)
    expect((fault as ConfigError).faults).toEqual([
      { path: `providers.x.${field}`, message: expect.stringMatching(message) },
    ])
  })
})
