import { describe, expect, it } from 'vitest'
import { defineProvider, type Provider } from '../../providers/provider.ts'
import { startGateway } from '../support/gateway.ts'
import { as, withKey } from '../support/keys.ts'
import { open } from '../support/reader.ts'

const messages = [{ role: 'user', content: 'hi' }]

/** Says its own name, and serves every kind of request. */
function speaker(name: string, models: string[]): Provider {
  return defineProvider({
    name,
    models,
    routes: ['/embeddings'],
    async *stream({ model }) {
      yield [
        { type: 'delta', content: `${name}/${model}` },
        { type: 'done', finish_reason: 'stop' },
      ]
    },
    async countTokens() {
      return { input_tokens: 1 }
    },
    async forward() {
      return { status: 200, headers: new Map(), body: (async function* () {})() }
    },
  })
}

async function setUp(models: string[]) {
  const gateway = await startGateway(
    {
      ...withKey({ models }),
      models: { fast: ['one/small', 'two/small'], secret: ['two/large'], cheap: ['one/small'] },
    },
    { providers: [speaker('one', ['small', 'medium']), speaker('two', ['small', 'large'])] },
  )
  const post = async (path: string, body: object) =>
    (await open(gateway.url + path, { method: 'POST', body, ...as() })).end()
  const get = async (path: string, headers = as().headers) => (await open(gateway.url + path, { headers })).end()
  const chat = (model: string) => post('/v1/chat/completions', { model, messages })
  return { gateway, post, get, chat }
}

describe('a caller with some models', () => {
  it.each([
    ['/v1/chat/completions', { messages }, 'models'],
    ['/v1/responses', { input: 'hi' }, 'models'],
    ['/v1/embeddings', { input: 'hi' }, 'models'],
    ['/v1/chat/completions', { messages }, 'fallbacks'],
  ])('leaves no choice of other models to an upstream: %s %j %s', async (path, body, field) => {
    const { post } = await setUp(['cheap'])
    expect((await post(path, { ...body, model: 'cheap', [field]: ['one/large'] })).status).toBe(403)
    expect((await post(path, { ...body, model: 'cheap', [field]: null })).status).toBe(200)
  })

  it.each<[string[], string, number]>([
    [['cheap'], 'cheap', 200],
    [['cheap'], 'one/small', 403],
    [['cheap'], 'fast', 403],
    [['one/*'], 'cheap', 200],
    [['one/*'], 'one/medium', 200],
    [['one/*'], 'two/large', 403],
    [['one/*'], 'secret', 403],
    [['se*'], 'secret', 200],
    [['*'], 'secret', 200],
    [['two/large'], 'secret', 200],
    [[], 'cheap', 403],
    [['*'], 'nowhere/nothing', 404],
    [[], 'nowhere/nothing', 404],
  ])('%j asks for %s and gets %i', async (models, model, expected) => {
    const { chat, post, gateway } = await setUp(models)
    const { status, json } = await chat(model)
    expect(status).toBe(expected)
    const others = [
      await post('/v1/embeddings', { model, input: 'hi' }),
      await post('/v1/messages/count_tokens', { model, messages }),
    ]
    for (const other of others) expect(other.status).toBe(expected)
    const refusals = await gateway.metric('sluice_limit_refusals_total{caller="app",limit="models"}')
    expect(refusals).toBe(expected === 403 ? 3 : 0)
    if (expected === 403)
      expect(json).toMatchObject({
        error: { code: 'model_not_allowed', param: 'model', type: 'invalid_request_error' },
      })
  })

  it('gets the answer of a target that is allowed, when others of the name are not', async () => {
    const { chat } = await setUp(['two/*'])
    for (let i = 0; i < 5; i++)
      expect((await chat('fast')).json).toMatchObject({ choices: [{ message: { content: 'two/small' } }] })
  })

  it("is told in Anthropic's shape", async () => {
    const { post } = await setUp([])
    const { status, json } = await post('/v1/messages', { model: 'cheap', messages, max_tokens: 9 })
    expect(status).toBe(403)
    expect(json).toMatchObject({ error: { type: 'permission_error', sluice_code: 'model_not_allowed' } })
  })

  it('is shown these models only, and hears of the others as of unknown ones', async () => {
    const { get, chat } = await setUp(['one/*', 'nowhere'])
    const { data } = (await get('/v1/models')).json as { data: { id: string }[] }
    expect(data.map(({ id }) => id)).toEqual(['fast', 'cheap', 'small', 'medium'])
    for (const id of ['cheap', 'one/small', 'medium']) expect((await get(`/v1/models/${id}`)).status).toBe(200)
    for (const id of ['secret', 'two/large', 'large', 'secret2']) {
      const { status, body } = await get(`/v1/models/${id}`)
      expect([status, body]).toEqual([404, expect.stringContaining(`no provider offers \\"${id}\\"`)])
      expect(body.replaceAll(id, '')).not.toMatch(/secret|large/)
    }
    // Nor as advice.
    expect((await chat('secre')).body).not.toContain('secret')
  })

  it('is alone with this: others see all models', async () => {
    const { get } = await setUp([])
    const all = (await get('/v1/models', as(undefined, 'key-of-other').headers)).json as { data: object[] }
    expect(all.data.length).toBeGreaterThan(5)
    expect((await get('/v1/models')).json).toEqual({ object: 'list', data: [] })
  })
})
