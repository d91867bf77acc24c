import { createServer } from 'node:net'
import { brotliCompressSync, constants, createBrotliCompress, createDeflate, createGzip, gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openai } from '../../providers/openai.ts'
import { loadConfig } from '../../src/config.ts'
import type { ErrorCode } from '../../src/errors.ts'
import { Router, type RouterConfig } from '../../src/routing/router.ts'
import { run, type Ran } from '../unit/routing-plans.ts'
import { chatChunks, chunk, startUpstream, type Answer, type Upstream } from '../support/upstream.ts'

const request = { messages: [{ role: 'user' as const, content: 'hi' }] }

/** Providers at these URLs, by name, and what `models` says of them. */
function routerOf(
  urls: Record<string, string>,
  models: RouterConfig['models'],
  more: Partial<RouterConfig> = {},
): Router {
  const providers = Object.entries(urls).map(([name, baseUrl]) => {
    const provider = openai({ name, baseUrl, headers: {}, includeUsage: true })
    onTestFinished(() => provider.close?.())
    return [name, { provider, options: {}, keys: [{ key: 'one', weight: 1 }] }] as const
  })
  return new Router(new Map(providers), { ...loadConfig(), models, ...more })
}

const EVENT_STREAM = { 'content-type': 'text/event-stream' }
const TOKENS = chatChunks(chunk({ role: 'assistant', content: 'one ' }), chunk({ content: 'two ' }))
const WHOLE = TOKENS + chatChunks(chunk({}, { finish_reason: 'stop' }), '[DONE]')

const status =
  (code: number, body = '', headers: Record<string, string> = {}): Answer =>
  (response) =>
    void response.writeHead(code, headers).end(body)

const stream = (body: string | Buffer, headers: Record<string, string> = {}) =>
  status(200, body as string, { ...EVENT_STREAM, ...headers })

/** Sends this, and then whatever it takes not to end well. */
const open =
  (body: string, then: 'silence' | 'reset'): Answer =>
  (response) => {
    response.writeHead(200, EVENT_STREAM).flushHeaders()
    const next = () => void (then === 'reset' && response.destroy())
    if (body) response.write(body, next)
    else next()
  }

const quota = JSON.stringify({ error: { message: 'You exceeded your quota', code: 'insufficient_quota' } })
const longLine = Buffer.concat([Buffer.from(`data: {"x":"`), Buffer.alloc(64 * 1024 * 1024, 'x')])

interface Fault {
  what: string
  /** What the upstream does … */
  answer?: Answer
  /** … or where there is none. */
  url?: (upstream: Upstream) => string | Promise<string>
  limits?: { firstTokenTimeoutMs?: number; idleTimeoutMs?: number; connectTimeoutMs?: number; retries?: number }
  code: ErrorCode
  /** How often the target is asked. */
  attempts: number
  fallsBack: boolean
  /** What has been passed on by then. */
  text?: string
  retryAfter?: number
}

const ONCE = { attempts: 1 }
const RETRIED = { attempts: 3 }
const patient = { firstTokenTimeoutMs: 60, idleTimeoutMs: 60 }
const begun = { attempts: 1, fallsBack: false, text: 'one two ' }

const faults: Fault[] = [
  // No connection.
  { what: 'a refused connection', url: closedPort, code: 'upstream_unreachable', ...RETRIED, fallsBack: true },
  {
    what: 'a name that DNS does not know',
    url: () => 'http://nonexistent.invalid',
    code: 'upstream_unreachable',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: 'TLS to a port that speaks none',
    url: ({ url }) => url.replace('http:', 'https:'),
    code: 'upstream_unreachable',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: 'TLS to a port that says nothing',
    url: silentPort,
    limits: { connectTimeoutMs: 50, retries: 0 },
    code: 'upstream_timeout',
    ...ONCE,
    fallsBack: true,
  },

  // An answer that is an error.
  { what: '400', answer: status(400), code: 'upstream_rejected', ...ONCE, fallsBack: false },
  { what: '401', answer: status(401), code: 'upstream_auth', ...ONCE, fallsBack: true },
  { what: '403', answer: status(403), code: 'upstream_auth', ...ONCE, fallsBack: true },
  { what: '404', answer: status(404), code: 'upstream_not_found', ...ONCE, fallsBack: true },
  { what: '408', answer: status(408), code: 'upstream_timeout', ...RETRIED, fallsBack: true },
  { what: '429', answer: status(429), code: 'upstream_rate_limited', ...RETRIED, fallsBack: true },
  {
    what: '429 with a short Retry-After',
    answer: status(429, '', { 'retry-after': '7' }),
    code: 'upstream_rate_limited',
    ...RETRIED,
    fallsBack: true,
    retryAfter: 7,
  },
  {
    what: '429 with a long Retry-After',
    answer: status(429, '', { 'retry-after': '70' }),
    code: 'upstream_rate_limited',
    ...ONCE,
    fallsBack: true,
    retryAfter: 70,
  },
  {
    what: '429 with Retry-After in milliseconds, which says more than seconds',
    answer: status(429, '', { 'retry-after-ms': '1500', 'retry-after': '70' }),
    code: 'upstream_rate_limited',
    ...RETRIED,
    fallsBack: true,
    retryAfter: 1.5,
  },
  {
    what: '429 with a Retry-After that makes no sense',
    answer: status(429, '', { 'retry-after': 'soon' }),
    code: 'upstream_rate_limited',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: '429 for a bill that is not paid',
    answer: status(429, quota, { 'retry-after': '7' }),
    code: 'upstream_rate_limited',
    ...ONCE,
    fallsBack: true,
  },
  { what: '500', answer: status(500), code: 'upstream_unavailable', ...RETRIED, fallsBack: true },
  { what: '503', answer: status(503), code: 'upstream_unavailable', ...RETRIED, fallsBack: true },
  {
    what: '500 with what is not compressed as it says',
    answer: status(500, 'plain', { 'content-encoding': 'gzip' }),
    code: 'upstream_unavailable',
    ...RETRIED,
    fallsBack: true,
  },
  { what: '504', answer: status(504), code: 'upstream_timeout', ...RETRIED, fallsBack: true },

  // An answer that is none.
  {
    what: '200 with a page of HTML',
    answer: status(200, '<html>', { 'content-type': 'text/html' }),
    code: 'upstream_invalid_response',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: '200 with another content type',
    answer: status(200, WHOLE, { 'content-type': 'application/octet-stream' }),
    code: 'upstream_invalid_response',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: '302',
    answer: status(302, '', { location: '/elsewhere' }),
    code: 'upstream_invalid_response',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: 'what is not compressed as it says',
    answer: stream(WHOLE, { 'content-encoding': 'gzip' }),
    code: 'upstream_invalid_response',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: 'what is not compressed with Brotli as it says',
    answer: stream(WHOLE, { 'content-encoding': 'br' }),
    code: 'upstream_invalid_response',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: 'a compression that nobody knows',
    answer: stream(WHOLE, { 'content-encoding': 'sdch' }),
    code: 'upstream_invalid_response',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: 'garbage instead of JSON',
    answer: stream('data: {"choices":[{\n\n'),
    code: 'upstream_invalid_response',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: 'a line of 64 MB',
    answer: stream(longLine),
    code: 'upstream_invalid_response',
    ...RETRIED,
    fallsBack: true,
  },

  // An answer that does not come, or ends, before its first token.
  {
    what: 'headers that do not come',
    answer: () => {},
    limits: patient,
    code: 'upstream_timeout',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: 'a first token that does not come',
    answer: open(chatChunks(chunk({ role: 'assistant', content: '' })), 'silence'),
    limits: patient,
    code: 'upstream_timeout',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: 'a connection that is cut before the first token',
    answer: open(chatChunks(chunk({ role: 'assistant', content: '' })), 'reset'),
    code: 'upstream_disconnected',
    ...RETRIED,
    fallsBack: true,
  },
  {
    what: 'an end before the first token',
    answer: stream(''),
    code: 'upstream_truncated',
    ...RETRIED,
    fallsBack: true,
  },

  // The same after it: nothing is started again.
  {
    what: 'a stall after two tokens',
    answer: open(TOKENS, 'silence'),
    // The first token may take its time, so that a slow machine does not make another fault of this.
    limits: { idleTimeoutMs: 60 },
    code: 'upstream_timeout',
    ...begun,
  },
  {
    what: 'a connection that is cut after two tokens',
    answer: open(TOKENS, 'reset'),
    code: 'upstream_disconnected',
    ...begun,
  },
  { what: 'a clean end after two tokens', answer: stream(TOKENS), code: 'upstream_truncated', ...begun },
  {
    what: 'garbage after two tokens',
    answer: stream(`${TOKENS}data: {"choices":[{\n\n`),
    code: 'upstream_invalid_response',
    ...begun,
  },
  {
    what: 'an error after two tokens',
    answer: stream(TOKENS + chatChunks({ error: { message: 'too busy', code: 503 } })),
    code: 'upstream_unavailable',
    ...begun,
  },
  {
    what: 'a line of 64 MB after two tokens',
    answer: stream(Buffer.concat([Buffer.from(TOKENS), longLine])),
    code: 'upstream_invalid_response',
    ...begun,
  },
]

async function closedPort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return `http://127.0.0.1:${port}`
}

async function silentPort(): Promise<string> {
  const server = createServer((socket) => void socket.on('error', () => {})).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  onTestFinished(() => void server.close())
  return `https://127.0.0.1:${(server.address() as { port: number }).port}`
}

describe.each(faults)(
  '$what',
  ({ answer = () => {}, url, limits = {}, code, attempts, fallsBack, text = '', retryAfter }) => {
    async function ask(...others: string[]): Promise<Ran & { asked: number }> {
      const bad = await startUpstream(answer)
      const good = await startUpstream(stream(WHOLE.replace('one', 'good')))
      const router = routerOf(
        { bad: (await url?.(bad)) ?? bad.url, good: good.url },
        { model: [{ target: 'bad/m', ...limits }, ...others] },
      )
      const ran = await run(router.plan('model', request))
      const asked = ran.ended.filter((each) => each === `bad:${code}`).length
      // Where time is short, a request may be given up before it has arrived.
      if (!url && !limits.firstTokenTimeoutMs) expect(bad.requests).toHaveLength(asked)
      return { ...ran, asked }
    }

    it(`is ${code} after ${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}`, async () => {
      const ran = await ask()
      expect(ran).toMatchObject({
        error: { code, retryAfter },
        text,
        asked: attempts,
        answers: [{ provider: 'bad', model: 'm', attempts }],
      })
      expect(ran.pauses).toHaveLength(attempts - 1)
      for (const pause of ran.pauses) expect(pause).toBeGreaterThanOrEqual((retryAfter ?? 0) * 1000)
    })

    if (fallsBack) {
      it('makes the next target answer', async () => {
        expect(await ask('good/m')).toMatchObject({
          error: undefined,
          text: 'good two ',
          asked: attempts,
          answers: [{ provider: 'good', model: 'm', attempts: attempts + 1 }],
        })
      })
    } else {
      it('is told although there is another target', async () => {
        expect(await ask('good/m')).toMatchObject({
          error: { code },
          text,
          asked: 1,
          answers: [{ provider: 'bad', attempts: 1 }],
        })
      })
    }
  },
)

describe('an upstream that compresses its answer', () => {
  const compressors = {
    gzip: () => createGzip(),
    deflate: () => createDeflate(),
    br: () => createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }),
  }

  it.each(Object.entries(compressors))(
    'with %s is read, and no token waits for the next',
    async (coding, compressor) => {
      let heard = () => {}
      const first = new Promise<void>((resolve) => (heard = resolve))
      const upstream = await startUpstream((response) => {
        response.writeHead(200, { ...EVENT_STREAM, 'content-encoding': coding })
        const compressed = compressor()
        compressed.pipe(response)
        compressed.write(TOKENS)
        compressed.flush()
        void first.then(() => compressed.end(WHOLE.slice(TOKENS.length)))
      })
      const router = routerOf({ upstream: upstream.url }, {})
      const ran = await run(router.plan('upstream/m', request), { onAnswer: () => heard() })
      expect(ran).toMatchObject({ text: 'one two ', error: undefined })
      expect((await upstream.request(0)).headers['accept-encoding']).toBe('identity')
    },
  )

  it('twice is read', async () => {
    const body = brotliCompressSync(gzipSync(WHOLE))
    const upstream = await startUpstream(stream(body, { 'content-encoding': 'GZIP, identity, br' }))
    const ran = await run(routerOf({ upstream: upstream.url }, {}).plan('upstream/m', request))
    expect(ran).toMatchObject({ text: 'one two ', error: undefined })
  })

  it('is understood when the answer is an error', async () => {
    const body = gzipSync(JSON.stringify({ error: { message: 'told so' } }))
    const answer = status(400, body as never, { 'content-encoding': 'gzip' })
    const upstream = await startUpstream(answer)
    const ran = await run(routerOf({ upstream: upstream.url }, {}).plan('upstream/m', request))
    expect(ran).toMatchObject({ error: { code: 'upstream_rejected', message: 'told so' } })
  })
})

describe('Retry-After as a date', () => {
  it('is the time until then', async () => {
    const date = new Date(Date.now() + 3_600_000).toUTCString()
    const upstream = await startUpstream(status(503, '', { 'retry-after': date }))
    const ran = await run(routerOf({ upstream: upstream.url }, {}).plan('upstream/m', request))
    const { retryAfter } = ran.error as { retryAfter: number }
    expect(retryAfter).toBeGreaterThan(3000)
    expect(retryAfter).toBeLessThanOrEqual(3600)
  })

  it('that has gone by is no time', async () => {
    const answers = [status(503, '', { 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' }), stream(WHOLE)]
    const upstream = await startUpstream((...args) => answers.shift()!(...args))
    const ran = await run(routerOf({ upstream: upstream.url }, {}).plan('upstream/m', request))
    expect(ran).toMatchObject({ text: 'one two ', answers: [{ attempts: 2 }] })
  })
})

describe('a target that keeps failing', () => {
  it('is left alone, probed by one request after its cooldown, and used again when that succeeds', async () => {
    let healthy = false
    let time = 0
    const bad = await startUpstream((response, each) => (healthy ? stream(WHOLE) : status(503))(response, each))
    const good = await startUpstream(stream(WHOLE))
    const providers = new Map(
      Object.entries({ bad: bad.url, good: good.url }).map(([name, baseUrl]) => {
        const provider = openai({ name, baseUrl, headers: {}, includeUsage: true })
        onTestFinished(() => provider.close?.())
        return [name, { provider, options: {} }]
      }),
    )
    const config = { ...loadConfig(), models: { model: ['bad/m', 'good/m'] } }
    const router = new Router(providers, config, { now: () => time })
    const answerer = async () => (await run(router.plan('model', request))).answers[0]!

    expect(await answerer()).toMatchObject({ provider: 'good', attempts: 4 })
    expect(await answerer()).toMatchObject({ provider: 'good', attempts: 3 })
    expect(router.openBreakers('bad')).toBe(1)
    expect(await answerer()).toMatchObject({ provider: 'good', attempts: 1 })

    time = 30_000
    expect(await answerer()).toMatchObject({ provider: 'good', attempts: 2 })
    expect(await answerer()).toMatchObject({ provider: 'good', attempts: 1 })

    time = 90_000
    healthy = true
    expect(await answerer()).toMatchObject({ provider: 'bad', attempts: 1 })
    expect(router.openBreakers('bad')).toBe(0)
    expect(bad.requests).toHaveLength(3 + 2 + 1 + 1)
  })
})

it('each attempt is made with a key of its own, and one that was refused is not used again', async () => {
  const upstream = await startUpstream((response, { headers }) =>
    (headers.authorization === 'Bearer good' ? stream(WHOLE) : status(401))(response, {} as never),
  )
  const provider = openai({ name: 'upstream', baseUrl: upstream.url, headers: {}, includeUsage: true })
  onTestFinished(() => provider.close?.())
  const keys = ['bad', 'good'].map((key) => ({ key, weight: key === 'bad' ? 1000 : 1 }))
  const router = new Router(new Map([['upstream', { provider, options: {}, keys }]]), loadConfig())
  const ran = await run(router.plan('upstream/m', request))
  expect(ran).toMatchObject({ text: 'one two ', answers: [{ attempts: 2 }] })
  expect(upstream.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer bad', 'Bearer good'])
})

it('a request that is given up closes the upstream’s socket', async () => {
  const upstream = await startUpstream(open(TOKENS, 'silence'))
  const gone = new AbortController()
  const ran = await run(routerOf({ upstream: upstream.url }, {}).plan('upstream/m', request), {
    signal: gone.signal,
    onAnswer: () => setImmediate(() => gone.abort(new Error('gone'))),
  })
  expect(ran).toMatchObject({ text: 'one two ', error: new Error('gone') })
  await (
    await upstream.request(0)
  ).closed
})
