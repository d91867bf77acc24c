import { describe, expect, it } from 'vitest'
import { readExposition, type Sample } from '../support/exposition.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { withKeys } from '../support/keys.ts'
import { chat, open, resume } from '../support/reader.ts'
import { ScriptedProvider } from '../support/scripted-provider.ts'

const messages = [{ role: 'user', content: 'hi' }]
const mock = { tokens: 2, interval_ms: 0 }

async function samplesOf({ services }: TestGateway, family: string): Promise<Sample[]> {
  return readExposition(await services.metrics.text()).get(family)!.samples
}

/** What was counted, as `POST /v1/chat 200` → 1. */
async function counted(gateway: TestGateway): Promise<Record<string, number>> {
  const samples = await samplesOf(gateway, 'sluice_http_requests_total')
  return Object.fromEntries(
    samples
      .filter(({ value }) => value > 0)
      .map(({ labels: { route, method, status }, value }) => [`${method} ${route} ${status}`, value]),
  )
}

async function ask(url: string, path: string, method = 'GET', headers: Record<string, string> = {}) {
  return (await open(url + path, { method, headers })).end()
}

describe('sluice_http_requests_total', () => {
  it('counts hot routes and others by the template of their route', async () => {
    const gateway = await startGateway()
    const { url } = gateway
    const first = await (await chat(url, { messages, mock })).end()
    await (await resume(url, first.id, 1)).end()
    await (await resume(url, first.id, first.ids.at(-1))).end()
    await (await open(`${url}/v1/chat?through=koa`, { method: 'POST', body: { messages, mock } })).end()
    await ask(url, '/chat/completions', 'POST')
    await ask(url, '/v1/models')
    await ask(url, '/v1/models/mock/mock')
    await ask(url, '/healthz', 'HEAD')
    expect(await counted(gateway)).toEqual({
      'POST /v1/chat 200': 2,
      'GET /v1/streams/:id 200': 1,
      'GET /v1/streams/:id 204': 1,
      'POST /v1/chat/completions 400': 1,
      'GET /v1/models 200': 1,
      'GET /v1/models/{*id} 200': 1,
      'HEAD /healthz 200': 1,
    })
  })

  it('counts what no route takes, with one label for all unknown paths and all unknown methods', async () => {
    const gateway = await startGateway()
    for (const path of ['/a', '/b', '/v1/secret-of-a-user', '/v1/streams/a/b/c']) await ask(gateway.url, path)
    for (const method of ['PROPFIND', 'MKCOL']) await ask(gateway.url, '/v1/chat', method)
    await ask(gateway.url, '/v1/chat', 'DELETE')
    const counts = await counted(gateway)
    expect(counts).toEqual({
      'GET other 404': 4,
      'DELETE /v1/chat 405': 1,
      'other /v1/chat 405': 2,
    })
  })

  it('counts requests that are refused before their route runs', async () => {
    const gateway = await startGateway({ ...withKeys(), allowedHosts: ['sluice.example'] })
    const { url } = gateway
    const foreign = { host: 'evil.example' }
    await ask(url, '/v1/chat', 'POST', foreign)
    await ask(url, '/v1/models', 'GET', foreign)
    await ask(url, '/v1/models')
    expect(await counted(gateway)).toEqual({
      'POST /v1/chat 403': 1,
      'GET /v1/models 403': 1,
      'GET /v1/models 401': 1,
    })
  })

  it('counts requests that are refused for load and while the gateway drains', async () => {
    const gateway = await startGateway({ maxStreams: 1 }, { providers: [new ScriptedProvider()] })
    await chat(gateway.url, { model: 'scripted' })
    expect((await chat(gateway.url, { model: 'scripted' })).status).toBe(503)
    gateway.services.draining = true
    expect((await chat(gateway.url, { model: 'scripted' })).status).toBe(503)
    await ask(gateway.url, '/readyz')
    expect(await counted(gateway)).toEqual({
      'POST /v1/chat 200': 1,
      'POST /v1/chat 503': 2,
      'GET /readyz 503': 1,
    })
  })

  it('counts the requests of the admin port', async () => {
    const gateway = await startGateway({ adminPort: 0 })
    await ask(gateway.adminUrl!, '/metrics')
    await ask(gateway.url, '/metrics')
    expect(await counted(gateway)).toEqual({ 'GET /metrics 200': 1, 'GET other 404': 1 })
  })

  it('counts a client that leaves before its answer as 499', async () => {
    const provider = new ScriptedProvider()
    const gateway = await startGateway({ resumeWindowMs: 0 }, { providers: [provider] })
    const leave = new AbortController()
    const asked = fetch(`${gateway.url}/v1/chat`, {
      method: 'POST',
      headers: { accept: 'application/json', 'content-type': 'application/json' },
      body: JSON.stringify({ messages, model: 'scripted' }),
      signal: leave.signal,
    }).catch(() => {})
    await provider.nextRun()
    leave.abort()
    await asked
    await expect.poll(() => counted(gateway)).toEqual({ 'POST /v1/chat 499': 1 })
  })
})

describe('sluice_http_time_to_head_seconds', () => {
  it('is observed for each request of the API, and for no probe', async () => {
    const gateway = await startGateway()
    await (await chat(gateway.url, { messages, mock })).end()
    await ask(gateway.url, '/healthz')
    const samples = await samplesOf(gateway, 'sluice_http_time_to_head_seconds')
    const counts = samples.filter(({ name, value }) => name.endsWith('_count') && value > 0)
    expect(counts.map(({ labels }) => labels)).toEqual([{ route: '/v1/chat', method: 'POST' }])
    expect(samples.filter(({ labels }) => labels.route === '/healthz')).toEqual([])
  })
})
