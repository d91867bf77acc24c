import { brotliCompressSync, constants, createBrotliCompress, createDeflate, createGzip, gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openai } from '../../providers/openai/openai.ts'
import { loadConfig } from '../../src/config.ts'
import { Router, type RouterConfig } from '../../src/routing/router.ts'
import { run, type Ran } from '../unit/routing-plans.ts'
import { EVENT_STREAM, faults, open, status, stream, TOKENS, WHOLE } from '../support/faults.ts'
import { startUpstream } from '../support/upstream.ts'

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
      const ran = await run(router.plan('upstream/m', request), { answeredBy: () => heard() })
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
  it('is skipped after failures of different requests, probed once after its cooldown, and used again if the probe succeeds', async () => {
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

    for (let failures = 0; failures < config.breaker.failures; failures++) {
      expect(router.openBreakers('bad')).toBe(0)
      const last = failures === config.breaker.failures - 1
      expect(await answerer()).toMatchObject({ provider: 'good', attempts: last ? 2 : 4 })
    }
    expect(router.openBreakers('bad')).toBe(1)
    expect(await answerer()).toMatchObject({ provider: 'good', attempts: 1 })

    time = 30_000
    expect(router.openBreakers('bad')).toBe(0)
    expect(await answerer()).toMatchObject({ provider: 'good', attempts: 2 })
    expect(await answerer()).toMatchObject({ provider: 'good', attempts: 1 })

    time = 90_000
    healthy = true
    expect(await answerer()).toMatchObject({ provider: 'bad', attempts: 1 })
    expect(router.openBreakers('bad')).toBe(0)
    expect(bad.requests).toHaveLength(4 * 3 + 1 + 1 + 1)
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
    answeredBy: () => setImmediate(() => gone.abort(new Error('gone'))),
  })
  expect(ran).toMatchObject({ text: 'one two ', error: new Error('gone') })
  await (
    await upstream.request(0)
  ).closed
})
