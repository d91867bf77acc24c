import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createClient, type ClientOptions } from '../../src/client/index.ts'
import { FaultyNetwork } from '../support/faulty-network.ts'
import { startGateway } from '../support/gateway.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'
import { clientOf, forbidUnhandledRejections, HI, Wire } from './harness.ts'

forbidUnhandledRejections()

const GATEWAY = 'http://gateway:8080/'

describe('a gateway that never responds', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
  afterEach(() => {
    vi.useRealTimers()
    vi.unstubAllGlobals()
  })

  const refusing = async (): Promise<Response> => {
    throw Object.assign(new TypeError('fetch failed'), { cause: { code: 'ECONNREFUSED' } })
  }

  /** How the stream fails, and after how many seconds; undefined when it has not, after five minutes. */
  async function failureOf(options: ClientOptions, body = 'hi') {
    const wire = new Wire()
    const client = createClient({ baseUrl: GATEWAY, maxAttempts: Infinity, ...options })
    const startedAt = performance.now()
    const leave = new AbortController()
    const stream = client.chat(
      { messages: [{ role: 'user', content: body }] },
      { onActivity: wire.onActivity, signal: leave.signal },
    )
    const failures: { error: unknown; seconds: number }[] = []
    stream.text().catch((error: unknown) => {
      failures.push({ error, seconds: Math.floor((performance.now() - startedAt) / 1000) })
    })
    for (let second = 0; second < 300 && failures.length === 0; second += 1) await vi.advanceTimersByTimeAsync(1000)
    const [result] = failures.map((failure) => ({ ...failure, requests: wire.of('request').length }))
    leave.abort()
    return result
  }

  it('is given up after ten seconds of refusals, and named with the reason', async () => {
    const failure = await failureOf({ fetch: refusing })
    expect(failure).toMatchObject({
      seconds: 10,
      error: {
        code: 'unreachable',
        retryable: true,
        message: `The gateway at ${GATEWAY} is unreachable: ECONNREFUSED`,
      },
    })
    expect(failure!.requests).toBeGreaterThan(3)
  })

  it('is given up after ten seconds of silence, longer for a large body', async () => {
    const silent = (_url: unknown, init?: RequestInit) =>
      new Promise<Response>((_, reject) => init?.signal?.addEventListener('abort', () => reject(init.signal?.reason)))
    expect(await failureOf({ fetch: silent })).toMatchObject({ requests: 1, error: { code: 'unreachable' } })
    const { seconds } = (await failureOf({ fetch: silent }, 'x'.repeat(320_000)))!
    expect(seconds).toBe(30)
  })

  it('is given as long as the option says', async () => {
    expect(await failureOf({ fetch: refusing, firstResponseMs: 60_000 })).toMatchObject({ seconds: 60 })
    expect(await failureOf({ fetch: refusing, firstResponseMs: Infinity })).toBeUndefined()
  })

  it('may also forbid this page: a browser says as little of the one as of the other', async () => {
    vi.stubGlobal('location', { origin: 'http://localhost:5173' })
    vi.stubGlobal('navigator', { onLine: true })
    const failure = await failureOf({
      fetch: async () => {
        throw new TypeError('Failed to fetch')
      },
    })
    expect(failure?.error).toMatchObject({
      code: 'unreachable',
      message: `The gateway at ${GATEWAY} is unreachable, or does not allow pages of http://localhost:5173 (CORS_ORIGIN): Failed to fetch`,
    })
  })

  it('on the origin of the page needs no permission', async () => {
    vi.stubGlobal('location', { origin: new URL(GATEWAY).origin })
    expect(await failureOf({ fetch: refusing })).toMatchObject({
      error: { message: `The gateway at ${GATEWAY} is unreachable: ECONNREFUSED` },
    })
  })

  it('is waited for while the device is offline', async () => {
    vi.stubGlobal('navigator', { onLine: false })
    expect(await failureOf({ fetch: refusing })).toBeUndefined()
    expect(await failureOf({ fetch: refusing, maxAttempts: 3 })).toMatchObject({
      error: { code: 'unreachable', message: 'This device is offline.' },
    })
  })

  it('is waited for once there has been any response', async () => {
    let requests = 0
    const starting = async () => {
      requests += 1
      return requests === 1 ? new Response('starting', { status: 503 }) : refusing()
    }
    expect(await failureOf({ fetch: starting })).toBeUndefined()
    requests = 0
    expect(await failureOf({ fetch: starting, maxAttempts: 5 })).toMatchObject({ requests: 6 })
  })
})

it('a port on which nothing listens is named, by every way to a stream', async () => {
  const network = await FaultyNetwork.start('http://127.0.0.1:1')
  await network.offline()
  const { url } = network
  const client = clientOf(network, { firstResponseMs: 2000, backoff: () => 300 })
  const error = { code: 'unreachable', message: expect.stringMatching(`${url}/ is unreachable: .*ECONNREFUSED`) }
  await expect(client.chat(HI).text()).rejects.toMatchObject(error)
  await expect(client.attach('str_1').text()).rejects.toMatchObject(error)
})

it('a gateway that has responded is waited for as before', async () => {
  const provider = new ScriptedProvider()
  const network = await FaultyNetwork.start((await startGateway({}, { providers: [provider] })).url)
  const wire = new Wire()
  const client = clientOf(network, { firstResponseMs: 1000, backoff: () => 5, maxAttempts: Infinity })
  const stream = client.chat({ ...HI, model: 'scripted' }, wire)
  const run = await provider.nextRun()
  run.text('one ')
  await wire.untilCount('frame', 1)
  await network.offline()
  await wire.until(() => wire.of('reconnect').some(({ at }) => at - wire.of('frame')[0]!.at > 1500))
  await network.online()
  run.text('two')
  run.done()
  expect(await stream.text()).toBe('one two')
})
