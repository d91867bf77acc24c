import { gzipSync } from 'node:zlib'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import request from 'supertest'
import { describe, expect, it } from 'vitest'
import { defineProvider, type Provider } from '../../providers/provider.ts'
import type { ProviderConfig } from '../../providers/options.ts'
import { collect } from '../support/both-ways.ts'
import { startGateway } from '../support/gateway.ts'
import { startForwardProxy } from '../support/forward-proxy.ts'
import { startUpstream, type Answer, type Upstream } from '../support/upstream.ts'

const json =
  (body: unknown): Answer =>
  (response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }
const list = (...ids: string[]) => json({ object: 'list', data: ids.map((id) => ({ id, object: 'model' })) })

const openaiAt = ({ url }: Upstream, more: object = {}): ProviderConfig => ({
  type: 'openai',
  baseUrl: `${url}/v1`,
  apiKey: 'sk-openai',
  headers: {},
  includeUsage: true,
  ...more,
})
const anthropicAt = ({ url }: Upstream): ProviderConfig => ({
  type: 'anthropic',
  baseUrl: url,
  apiKey: 'sk-anthropic',
  headers: {},
  maxTokens: 100,
})

async function idsOf(url: string): Promise<string[]> {
  const { body } = await request(url).get('/v1/models').expect(200)
  return body.data.map(({ id }: { id: string }) => id)
}

describe('the models of upstreams', () => {
  it('are listed after those of the configuration, with their provider, for both SDKs', async () => {
    const [first, second] = [
      await startUpstream(list('gpt-b', 'gpt-a10', 'gpt-a9')),
      await startUpstream(list('claude')),
    ]
    const { url } = await startGateway({
      providers: { mock: { type: 'mock' }, openai: openaiAt(first), anthropic: anthropicAt(second) },
      models: { fast: 'openai/gpt-b' },
    })
    const ids = ['fast', 'mock', 'openai/gpt-a9', 'openai/gpt-a10', 'openai/gpt-b', 'anthropic/claude']
    const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'key' })
    const anthropic = new Anthropic({ baseURL: url, apiKey: 'key' })
    expect((await collect(await openai.models.list())).map(({ id }) => id)).toEqual(ids)
    expect((await collect(await anthropic.models.list())).map(({ id }) => id)).toEqual(ids)
    for (const id of ids) {
      expect(await openai.models.retrieve(id)).toMatchObject({ id, object: 'model' })
      expect(await anthropic.models.retrieve(id)).toMatchObject({ id, type: 'model' })
    }
    expect(first.requests).toMatchObject([{ path: '/v1/models', headers: { authorization: 'Bearer sk-openai' } }])
    expect(second.requests).toMatchObject([
      { path: '/v1/models?limit=1000', headers: { 'x-api-key': 'sk-anthropic', 'anthropic-version': '2023-06-01' } },
    ])
  })

  it('come in pages from Anthropic’s API, of which not more than five are read', async () => {
    const upstream = await startUpstream((response, { path }) => {
      const after = Number(new URL(path, 'http://x').searchParams.get('after_id') ?? 0)
      return json({ data: [{ id: String(after + 1) }], has_more: true, last_id: String(after + 1) })(
        response,
        {} as never,
      )
    })
    const { url } = await startGateway({ providers: { a: anthropicAt(upstream) } })
    expect(await idsOf(url)).toEqual(['a/1', 'a/2', 'a/3', 'a/4', 'a/5'])
  })

  it('may be compressed, and a bare array', async () => {
    const upstream = await startUpstream((response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(JSON.stringify([{ id: 'm' }])))
    })
    expect(await idsOf((await startGateway({ providers: { o: openaiAt(upstream) } })).url)).toEqual(['o/m'])
  })

  it('come through the provider’s proxy', async () => {
    const upstream = await startUpstream(list('m'))
    const proxy = await startForwardProxy()
    const entry = openaiAt(upstream, { proxy: `http://127.0.0.1:${proxy.port}` })
    expect(await idsOf((await startGateway({ providers: { o: entry } })).url)).toEqual(['o/m'])
    expect(proxy.asked).toHaveLength(1)
  })

  it('are not asked for at startup, nor again soon, nor by two requests at once', async () => {
    const upstream = await startUpstream(list('m'))
    const { url } = await startGateway({ providers: { o: openaiAt(upstream) } })
    expect(upstream.requests).toHaveLength(0)
    expect(await Promise.all([idsOf(url), idsOf(url)])).toEqual([['o/m'], ['o/m']])
    expect(await idsOf(url)).toEqual(['o/m'])
    expect(upstream.requests).toHaveLength(1)
  })

  it.each<[string, object, object]>([
    ['its entry says so', { listModels: false }, {}],
    ['its entry lists some', { models: ['x'] }, {}],
    ['only names of the configuration are accepted', {}, { modelsOnly: true }],
  ])('are not asked for where %s', async (_, entry, settings) => {
    const upstream = await startUpstream(list('m'))
    const { url } = await startGateway({ providers: { o: openaiAt(upstream, entry) }, ...settings })
    expect(await idsOf(url)).not.toContain('o/m')
    expect(upstream.requests).toHaveLength(0)
  })

  it('lend their names to the advice of an unknown name', async () => {
    const upstream = await startUpstream(list('llama-3.3-70b', 'qwen3'))
    const { url } = await startGateway({ providers: { a: openaiAt(upstream), b: openaiAt(upstream) } })
    await idsOf(url)
    const { body } = await request(url).get('/v1/models/llama-3.3-70').expect(404)
    expect(body.error.message).toBe(
      'model: no provider offers "llama-3.3-70"; did you mean "a/llama-3.3-70b", "b/llama-3.3-70b"?',
    )
  })
})

describe('an upstream without a proper list', () => {
  const huge = (response: Parameters<Answer>[0]) => {
    response.writeHead(200, { 'content-type': 'application/json' }).write('{"data":[')
    const more = () => {
      while (response.writable && response.write(`{"id":"${'x'.repeat(1000)}"},`));
    }
    response.on('drain', more)
    more()
  }
  it.each<[string, Answer, string]>([
    ['HTML', (response) => void response.writeHead(200).end('<!doctype html>'), 'upstream_invalid_response'],
    ['too much', huge, 'upstream_invalid_response'],
    ['no list', json({ models: [] }), 'upstream_invalid_response'],
    ['no names', json({ data: [1, {}] }), 'upstream_invalid_response'],
    ['404', (response) => void response.writeHead(404).end('{}'), 'upstream_not_found'],
    ['401', (response) => void response.writeHead(401).end('{"error":{"message":"sk-openai"}}'), 'upstream_auth'],
    ['no answer', (response) => void response.destroy(), 'upstream_unreachable'],
    [
      'half an answer',
      (response) => void response.writeHead(200, { 'content-length': 9 }).write('{', () => response.destroy()),
      'upstream_disconnected',
    ],
  ])('(%s) adds nothing, and is logged once', async (_, answer, error) => {
    const upstream = await startUpstream(answer)
    const gateway = await startGateway({ providers: { mock: { type: 'mock' }, o: openaiAt(upstream) } })
    for (let i = 0; i < 3; i++) expect(await idsOf(gateway.url)).toEqual(['mock'])
    const warnings = gateway.logs.filter(({ level }) => level === 'warn')
    expect(warnings).toMatchObject([{ msg: 'models cannot be listed', provider: 'o', error }])
    expect(JSON.stringify(gateway.logs)).not.toContain('sk-openai')
    expect(upstream.requests).toHaveLength(1)
  })

  it('is not followed elsewhere with the key', async () => {
    const elsewhere = await startUpstream(list('m'))
    const upstream = await startUpstream((response) => void response.writeHead(302, { location: elsewhere.url }).end())
    const { url } = await startGateway({ providers: { mock: { type: 'mock' }, o: openaiAt(upstream) } })
    expect(await idsOf(url)).toEqual(['mock'])
    expect(elsewhere.requests).toHaveLength(0)
  })

  it('delays a first request for a while only, and shutting down not at all', async () => {
    const upstream = await startUpstream(() => {})
    const gateway = await startGateway({ providers: { mock: { type: 'mock' }, o: openaiAt(upstream) } })
    const warnings = () => gateway.logs.filter(({ level }) => level === 'warn')
    expect(await idsOf(gateway.url)).toEqual(['mock'])
    expect(await idsOf(gateway.url)).toEqual(['mock'])
    // The list is still awaited: it has neither failed nor been asked for again.
    expect(warnings()).toEqual([])
    const asked = await upstream.request(0)
    expect(upstream.requests).toHaveLength(1)
    await gateway.drain()
    await asked.closed
    expect(warnings()).toEqual([])
  })
})

describe('a provider from outside', () => {
  const provider = (listModels: NonNullable<Provider['listModels']>) =>
    defineProvider({ name: 'mine', async *stream() {}, listModels })

  it('may list its models, of which only names are shown, each once, and not too many', async () => {
    const names = ['a', 'a', 'b c', 'bad\n', '', 'x'.repeat(201), 7 as never]
    const { url } = await startGateway({ providers: {} }, { providers: [provider(async () => names)] })
    expect(await idsOf(url)).toEqual(['mine/a', 'mine/b c'])
    const many = Array.from({ length: 5000 }, (_, i) => `m${i}`)
    const other = await startGateway({ providers: {} }, { providers: [provider(async () => many)] })
    expect(await idsOf(other.url)).toHaveLength(1000)
  })

  it.each<[string, () => never]>([
    [
      'throws',
      () => {
        throw new Error('secret')
      },
    ],
    ['returns no list', () => ({ length: 3 }) as never],
  ])('that %s lists nothing', async (_, listModels) => {
    const gateway = await startGateway({ providers: {} }, { providers: [provider(listModels)] })
    expect(await idsOf(gateway.url)).toEqual([])
    expect(JSON.stringify(gateway.logs)).not.toContain('secret')
  })
})
