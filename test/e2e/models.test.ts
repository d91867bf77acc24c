import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import request from 'supertest'
import { describe, expect, it } from 'vitest'
import type { Config } from '../../src/config.ts'
import { collect } from '../support/both-ways.ts'
import { startGateway } from '../support/gateway.ts'

const ANTHROPIC = { 'anthropic-version': '2023-06-01' }

const local = { baseUrl: 'http://127.0.0.1:1', headers: {}, includeUsage: true }

/** Names of the configuration, with and without slashes, and what the providers list. */
const settings: Partial<Config> = {
  providers: {
    mock: { type: 'mock' },
    upstream: {
      type: 'openai',
      ...local,
      models: ['org/gpt', 'tiny'],
    },
  },
  models: { fast: 'mock/mock', 'team/some model': ['upstream/tiny', 'mock/mock'], 'any-*': 'mock/mock' },
}
const ids = ['fast', 'team/some model', 'mock', 'org/gpt', 'tiny']

async function clients(more: Config['providers'] = {}) {
  const { url } = await startGateway({ ...settings, providers: { ...settings.providers, ...more } })
  return {
    url,
    openai: new OpenAI({ baseURL: `${url}/v1`, apiKey: 'key', maxRetries: 0 }),
    anthropic: new Anthropic({ baseURL: url, apiKey: 'key', maxRetries: 0 }),
  }
}

describe('the models', () => {
  it('are listed in OpenAI’s form', async () => {
    const { url, openai } = await clients()
    const { body } = await request(url).get('/v1/models')
    expect(body).toEqual({
      object: 'list',
      data: ids.map((id) => ({
        id,
        object: 'model',
        created: expect.any(Number),
        owned_by: ['fast', 'mock'].includes(id) ? 'mock' : 'upstream',
      })),
    })
    expect((await collect(await openai.models.list())).map(({ id }) => id)).toEqual(ids)
  })

  it('are listed in Anthropic’s form to whoever names a version of its API', async () => {
    const { url, anthropic } = await clients()
    const { body } = await request(url).get('/v1/models').set(ANTHROPIC)
    expect(body).toEqual({
      data: ids.map((id) => ({
        type: 'model',
        id,
        display_name: id,
        created_at: expect.stringMatching(/^\d{4}-.*Z$/),
      })),
      has_more: false,
      first_id: 'fast',
      last_id: 'tiny',
    })
    expect((await collect(await anthropic.models.list())).map(({ id }) => id)).toEqual(ids)
  })

  it.each(ids)('can be asked for one by one: %s', async (id) => {
    const { url, openai, anthropic } = await clients()
    expect(await openai.models.retrieve(id)).toMatchObject({ id, object: 'model' })
    expect(await anthropic.models.retrieve(id)).toMatchObject({ id, type: 'model' })
    // With slashes as they are, and as an SDK encodes them.
    for (const path of [encodeURI(id), encodeURIComponent(id)])
      expect((await request(url).get(`/v1/models/${path}`)).body).toMatchObject({ id })
  })

  it('can be asked for by any name that a request could use, listed or not', async () => {
    const { openai, anthropic } = await clients({ open: { type: 'openai', ...local } })
    for (const id of ['any-thing', 'open/any/thing', 'mock/mock', 'unheard-of']) {
      expect(await openai.models.retrieve(id)).toMatchObject({ id, owned_by: /^(any|mock)/.test(id) ? 'mock' : 'open' })
      expect(await anthropic.models.retrieve(id)).toMatchObject({ id, display_name: id })
    }
  })

  it.each(['nope', 'team/nope', 'fast/', '%E0%A4%A'])('do not include %j', async (id) => {
    const { url } = await clients()
    const openai = await request(url).get(`/v1/models/${id}`)
    expect(openai.status).toBe(404)
    expect(openai.body).toMatchObject({
      error: { type: 'invalid_request_error', code: 'unknown_model', param: 'model', message: expect.any(String) },
    })
    const anthropic = await request(url).get(`/v1/models/${id}`).set(ANTHROPIC)
    expect(anthropic.status).toBe(404)
    expect(anthropic.headers['request-id']).toBe(anthropic.headers['x-request-id'])
    expect(anthropic.body).toEqual({
      type: 'error',
      error: { type: 'not_found_error', message: expect.any(String), sluice_code: 'unknown_model' },
      request_id: anthropic.headers['request-id'],
    })
  })
})
