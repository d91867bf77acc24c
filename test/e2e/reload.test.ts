import type { ServerResponse } from 'node:http'
import { beforeEach, describe, expect, it } from 'vitest'
import { loadConfig, type Config } from '../../src/config.ts'
import { ConfigError } from '../../src/errors.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { makeFolder } from '../support/process.ts'
import { chat, open, resume } from '../support/reader.ts'
import { chatChunks, chunk, startUpstream, type Upstream } from '../support/upstream.ts'

/** As `startGateway` does it. */
function configOf(settings: Partial<Config>): Config {
  return { ...loadConfig(), drainMs: 0, maxEventLoopDelayMs: 0, ...settings, port: 0 }
}

function openaiAt({ url }: Upstream): Config['providers'][string] {
  return { type: 'openai', baseUrl: url, headers: {}, includeUsage: true }
}

/** An upstream whose first answer waits for the test, and that answers all others at once. */
async function startTalker(name: string) {
  let answer: ServerResponse | undefined
  const upstream = await startUpstream((response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(chatChunks(chunk({ content: `${name} ` })))
    if (answer) response.end(chatChunks(chunk({}, { finish_reason: 'stop' }), '[DONE]'))
    else answer = response
  })
  return {
    upstream,
    finish: () => answer!.end(chatChunks(chunk({ content: 'end' }), chunk({}, { finish_reason: 'stop' }), '[DONE]')),
  }
}

const key = (value: string) => ({ headers: { authorization: `Bearer ${value}` } })

function caller(name: string, value: string, limits: Config['limits'] = {}): Config['keys'][number] {
  return { name, key: value, scopes: ['chat', 'read', 'cancel'], limits, userLimits: {}, actsForUsers: true }
}

const QUICK = { mock: { text: 'a b', interval_ms: 0 } }
const STUCK = { mock: { text: 'one two', interval_ms: 0, stall_at: 1 } }

async function faultsOf(reloading: Promise<void>): Promise<unknown> {
  return reloading.then(
    () => [],
    (error: unknown) => (error instanceof ConfigError ? error.faults : error),
  )
}

describe('a new configuration', () => {
  it('lets a running stream end at its provider, and its readers lose nothing', async () => {
    const [old, young] = [await startTalker('old'), await startTalker('new')]
    const gateway = await startGateway({ providers: { up: openaiAt(old.upstream) } })
    const reader = await chat(gateway.url, { model: 'up/any' })
    await reader.until(({ text }) => text === 'old ')
    await gateway.reload(configOf({ providers: { up: openaiAt(young.upstream) } }))

    const other = await chat(gateway.url, { model: 'up/any' })
    await other.until(({ text }) => text === 'new ')
    old.finish()
    await reader.end()
    expect(reader.text).toBe('old end')
    expect(reader.ids).toEqual(reader.ids.map((_, i) => i + 1))
    expect(reader.dones).toMatchObject([{ finish_reason: 'stop' }])
    expect(reader.complete).toBe(true)
    young.finish()
    await other.end()
    const late = await (await resume(gateway.url, reader.id)).end()
    expect(late.text).toBe('old end')
    expect([old, young].map(({ upstream }) => upstream.requests.length)).toEqual([1, 1])
  })

  it('keeps the connections of a provider that has not changed', async () => {
    const { upstream } = await startTalker('same')
    const gateway = await startGateway({ providers: { up: openaiAt(upstream) } })
    const [before] = gateway.services.router.registered.values()
    await gateway.reload(configOf({ providers: { up: openaiAt(upstream) }, defaultModel: 'up/any' }))
    const reader = await chat(gateway.url)
    await reader.until(({ text }) => text === 'same ')
    const [after] = gateway.services.router.registered.values()
    expect(after).toBe(before)
  })

  it('accepts its keys and no others, while streams of the others go on', async () => {
    const gateway = await startGateway({ keys: [caller('ada', 'old')] })
    const reader = await chat(gateway.url, STUCK, key('old'))
    await reader.until(({ text }) => text === 'one')
    await gateway.reload(configOf({ keys: [caller('ada', 'new')] }))
    expect((await chat(gateway.url, QUICK, key('old'))).status).toBe(401)
    expect((await (await chat(gateway.url, QUICK, key('new'))).end()).text).toBe('a b')
    expect(reader.closed).toBe(false)
    const second = await resume(gateway.url, reader.id, 0, key('new'))
    await second.until(({ text }) => text === 'one')
    await open(`${gateway.url}/v1/streams/${reader.id}`, { method: 'DELETE', ...key('new') })
    await Promise.all([reader.end(), second.end()])
    expect(reader.dones).toMatchObject([{ finish_reason: 'cancelled' }])
    expect(reader.complete).toBe(true)
  })

  it('has its limits, models, prices and origins', async () => {
    const gateway = await startGateway()
    const origin = { origin: 'https://chat.example' }
    const models = async () => JSON.stringify((await (await open(`${gateway.url}/v1/models`)).end()).json)
    expect((await open(`${gateway.url}/healthz`, { headers: origin })).headers).not.toHaveProperty(
      'access-control-allow-origin',
    )
    await gateway.reload(
      configOf({
        models: { tale: 'mock/mock' },
        prices: { 'mock/mock': { input: 0, output: 1_000_000 } },
        corsOrigin: ['https://chat.example'],
        limits: { maxTokens: 3 },
      }),
    )
    expect((await open(`${gateway.url}/healthz`, { headers: origin })).headers).toHaveProperty(
      'access-control-allow-origin',
      'https://chat.example',
    )
    expect(await models()).toContain('"tale"')
    const priced = await (await chat(gateway.url, { model: 'tale', ...QUICK })).end()
    expect(priced.dones).toMatchObject([{ cost: 2 }])
    const limited = await (await chat(gateway.url, { model: 'tale', max_tokens: 4, ...QUICK })).end()
    expect(limited.status).toBeGreaterThanOrEqual(400)
  })

  it('goes on counting where the one before stopped', async () => {
    const limits = { requestsPerMinute: 2 }
    const gateway = await startGateway({ keys: [caller('ada', 'k', limits)] })
    const send = async () => (await (await chat(gateway.url, QUICK, key('k'))).end()).status
    expect(await send()).toBe(200)
    await gateway.reload(configOf({ keys: [caller('ada', 'k', { ...limits }), caller('bob', 'l')] }))
    expect(await send()).toBe(200)
    expect(await send()).toBe(429)
    expect(await gateway.metric('sluice_caller_streams_total{caller="ada"}')).toBe(2)
    expect(await gateway.metric('sluice_limit_refusals_total{caller="bob",limit="requests_per_minute"}')).toBe(0)
  })

  it('accepts the tickets of the one before, whose secret was drawn', async () => {
    const gateway = await startGateway({ keys: [caller('ada', 'k')] })
    const accepted = await (
      await chat(gateway.url, QUICK, { headers: { ...key('k').headers, prefer: 'respond-async' } })
    ).end()
    const { url } = accepted.json as { url: string }
    expect(url).toContain('ticket=')
    await gateway.reload(configOf({ keys: [caller('bob', 'l')] }))
    const reader = await (await open(new URL(url, gateway.url).href)).end()
    expect([reader.status, reader.text]).toEqual([200, 'a b'])
  })
})

describe('a configuration that cannot be in force', () => {
  let gateway: TestGateway
  beforeEach(async () => {
    gateway = await startGateway()
  })

  async function changesNothing(config: Config, faults: unknown): Promise<void> {
    expect(await faultsOf(gateway.reload(config))).toEqual(faults)
    expect((await chat(gateway.url, { model: 'tale', ...QUICK })).status).toBe(404)
    expect((await (await chat(gateway.url, QUICK)).end()).text).toBe('a b')
  }

  const models = { tale: 'mock/mock' }

  it('since it changes settings of the process is refused whole, with the name of each', async () => {
    const message = 'restart to change it'
    await changesNothing({ ...configOf({ models }), port: 1, retentionMs: 7 }, [
      { path: 'PORT', message },
      { path: 'RETENTION_MS', message },
    ])
  })

  it('since it turns TLS on is refused', async () => {
    const faults = [{ path: 'TLS_CERT', message: 'restart to turn TLS on or off' }]
    await changesNothing(configOf({ models, tlsCert: '/none', tlsKey: '/none' }), faults)
  })

  it('since a provider cannot be loaded is refused', async () => {
    const folder = await makeFolder({ 'broken.mjs': 'export default 5' })
    const module = `${folder}/broken.mjs`
    const providers = { mock: { type: 'mock' as const }, mine: { type: 'module' as const, module, options: {} } }
    await changesNothing(configOf({ models, providers }), [
      { path: 'providers.mine.module', message: expect.stringContaining('has no provider as its default export') },
    ])
  })
})

describe('a module that is a provider', () => {
  const CODE = `
    export const state = (globalThis.reloaded ??= { closed: 0 })
    export default {
      async *stream() { yield { type: 'delta', content: 'closed ' + state.closed }; yield { type: 'done', finish_reason: 'stop' } },
      async close() { state.closed += 1 },
    }`

  it('is closed when it is no longer configured, and not while another entry uses it', async () => {
    const folder = await makeFolder({ 'mine.mjs': CODE })
    const mine = { type: 'module' as const, module: `${folder}/mine.mjs`, options: {} }
    const state = () => (globalThis as { reloaded?: { closed: number } }).reloaded?.closed
    const gateway = await startGateway({ providers: { mine, mock: { type: 'mock' } } })
    await gateway.reload(configOf({ providers: { yours: { ...mine, options: { a: 1 } }, mock: { type: 'mock' } } }))
    const reader = await (await chat(gateway.url, { model: 'yours/any' })).end()
    expect(reader.text).toBe('closed 0')
    const stuck = await chat(gateway.url, { model: 'mock', ...STUCK })
    await stuck.until(({ text }) => text === 'one')
    await gateway.reload(configOf({ providers: { mock: { type: 'mock' } } }))
    // Until what ran then has ended.
    expect((await (await chat(gateway.url, { model: 'mock', ...QUICK })).end()).text).toBe('a b')
    expect(state()).toBe(0)
    await open(`${gateway.url}/v1/streams/${stuck.id}`, { method: 'DELETE' })
    await expect.poll(state).toBe(1)
  })
})
