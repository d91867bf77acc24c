import { describe, expect, it } from 'vitest'
import { defineProvider } from '../../providers/provider.ts'
import { loadConfig, type Config } from '../../src/config.ts'
import { startGateway } from '../support/gateway.ts'
import { chat, open, resume } from '../support/reader.ts'

const quick = { mock: { text: 'a b c', interval_ms: 0 } }

function keys(environment: Record<string, string> = {}): Partial<Config> {
  return loadConfig({ environment: { SLUICE_KEYS: 'alice:key-of-alice, bob:key-of-bob', ...environment } })
}

/** Answers at once, in every protocol. */
const instant = defineProvider({
  name: 'instant',
  async *stream() {
    yield { type: 'delta', content: 'hi' }
    yield { type: 'done', finish_reason: 'stop' }
  },
})

const as = (name: string, user?: string) => ({
  headers: { authorization: `Bearer key-of-${name}`, ...(user !== undefined && { 'sluice-user': user }) },
})

describe('a key that acts for its users', () => {
  it('gives each user streams of their own, named by a header or in the body', async () => {
    const { url } = await startGateway(keys())
    const byHeader = await (await chat(url, quick, as('alice', 'ann'))).end()
    const byBody = await (await chat(url, { ...quick, user: 'ann' }, as('alice'))).end()
    const own = await (await chat(url, quick, as('alice'))).end()
    for (const { id } of [byHeader, byBody]) {
      expect((await resume(url, id, 0, as('alice', 'ann'))).status).toBe(200)
      for (const other of [as('alice'), as('alice', 'ben'), as('bob'), as('bob', 'ann')])
        expect((await resume(url, id, 0, other)).status).toBe(404)
    }
    expect((await resume(url, own.id, 0, as('alice'))).status).toBe(200)
    expect((await resume(url, own.id, 0, as('alice', 'ann'))).status).toBe(404)
  })

  it('reads the user where the SDK of each protocol puts it', async () => {
    const { url } = await startGateway(keys(), { providers: [instant] })
    const message = { model: 'instant', messages: [{ role: 'user', content: 'hi' }] }
    for (const [path, body] of [
      ['/v1/chat/completions', { ...message, user: 'ann' }],
      ['/v1/responses', { model: 'instant', input: 'hi', user: 'ann' }],
      ['/v1/messages', { ...message, max_tokens: 9, metadata: { user_id: 'ann' } }],
    ] as const) {
      const { id } = await (await open(url + path, { method: 'POST', body, ...as('alice') })).end()
      expect((await resume(url, id, 0, as('alice', 'ann'))).status).toBe(200)
      expect((await resume(url, id, 0, as('alice'))).status).toBe(404)
    }
  })

  it.each([
    ['/v1/chat/completions', 'user', { user: 'a'.repeat(257) }],
    ['/v1/messages', 'metadata.user_id', { max_tokens: 9, metadata: { user_id: 'a'.repeat(257) } }],
  ])('names the field of a user that is too long: %s, %s', async (path, field, fields) => {
    const { url } = await startGateway(keys(), { providers: [instant] })
    const body = { model: 'instant', messages: [{ role: 'user', content: 'hi' }], ...fields }
    const refused = await (await open(url + path, { method: 'POST', body, ...as('alice') })).end()
    expect(refused.status).toBe(400)
    expect(refused.json).toMatchObject({ error: { message: `${field}: must be a text of 1 to 256 characters` } })
  })

  it('gives each user idempotency keys of their own', async () => {
    const { url } = await startGateway(keys())
    const create = async (name: string, user?: string) => {
      const { headers } = as(name, user)
      return (await (await chat(url, quick, { headers: { ...headers, 'idempotency-key': 'k' } })).end()).id
    }
    const ids = [await create('alice'), await create('alice', 'ann'), await create('alice', 'ben'), await create('bob')]
    expect(new Set(ids).size).toBe(4)
    expect(await create('alice', 'ann')).toBe(ids[1])
  })

  it('does not continue the response of another user', async () => {
    const { url } = await startGateway(keys(), { providers: [instant] })
    const ask = async (user: string, fields: object) => {
      const body = { model: 'instant', input: 'hi', store: true, ...fields }
      return (await open(`${url}/v1/responses`, { method: 'POST', body, ...as('alice', user) })).end()
    }
    const { id } = (await ask('ann', {})).json as { id: string }
    expect((await ask('ann', { previous_response_id: id })).status).toBe(200)
    const missing = await ask('ben', { previous_response_id: 'resp_00000000000000000000000000000000' })
    const other = await ask('ben', { previous_response_id: id })
    expect(other.status).toBe(missing.status)
    expect(other.body.replace(id, '')).toBe(missing.body.replace(/resp_0+/, ''))
  })

  it.each(['', 'a'.repeat(257)])(
    'refuses a user whose name is too long, and takes an empty one for none: %#',
    async (user) => {
      const { url } = await startGateway(keys())
      expect((await chat(url, quick, as('alice', user))).status).toBe(user === '' ? 200 : 400)
      expect((await chat(url, { ...quick, user }, as('alice'))).status).toBe(user === '' ? 200 : 400)
    },
  )
})

it('a key that does not act for users refuses the header, and leaves the user in the body to the provider', async () => {
  const config = keys()
  const { url } = await startGateway({ ...config, keys: config.keys!.map((key) => ({ ...key, actsForUsers: false })) })
  const refused = await (await chat(url, quick, as('alice', 'ann'))).end()
  expect(refused.json).toMatchObject({ status: 403, code: 'insufficient_scope' })
  const { id } = await (await chat(url, { ...quick, user: 'ann' }, as('alice'))).end()
  expect((await resume(url, id, 0, as('alice'))).status).toBe(200)
})

it('without callers, a user makes no difference: everybody reads everything', async () => {
  const { url } = await startGateway()
  const { id } = await (await chat(url, { ...quick, user: 'ann' }, { headers: { 'sluice-user': 'ben' } })).end()
  expect((await resume(url, id)).status).toBe(200)
})

describe('the admin port', () => {
  it('serves /metrics and the playground, and the other port does not', async () => {
    const gateway = await startGateway({ adminPort: 0 })
    const statuses = async (url = '') =>
      Promise.all(
        ['/metrics', '/', '/healthz', '/readyz', '/v1/models'].map(async (path) => (await open(url + path)).status),
      )
    expect(await statuses(gateway.url)).toEqual([404, 404, 200, 200, 200])
    expect(await statuses(gateway.adminUrl)).toEqual([200, 200, 200, 200, 200])
  })

  it('asks for the same keys', async () => {
    const gateway = await startGateway({ ...keys({ METRICS_TOKEN: 'token-of-metrics' }), adminPort: 0 })
    const { adminUrl = '' } = gateway
    expect((await open(`${adminUrl}/v1/models`)).status).toBe(401)
    expect((await open(`${adminUrl}/metrics`)).status).toBe(401)
    const token = { headers: { authorization: 'Bearer token-of-metrics' } }
    expect((await open(`${adminUrl}/metrics`, token)).status).toBe(200)
    expect((await open(`${adminUrl}/v1/models`, token)).status).toBe(403)
  })
})

it('METRICS_TOKEN guards /metrics, and nothing else, of a gateway without callers', async () => {
  const { url } = await startGateway({ metricsToken: 'token-of-metrics' })
  expect((await open(`${url}/metrics`)).status).toBe(401)
  expect((await open(`${url}/metrics`, { headers: { authorization: 'Bearer token-of-metrics' } })).status).toBe(200)
  expect((await open(`${url}/v1/models`)).status).toBe(200)
})

describe('a ticket', () => {
  it('comes with the address of a stream in the background, and opens it without a key', async () => {
    const gateway = await startGateway(keys())
    const { headers } = as('alice')
    const created = await (await chat(gateway.url, quick, { headers: { ...headers, prefer: 'respond-async' } })).end()
    const { url } = created.json as { url: string }
    expect(created.headers.location).not.toContain('ticket')
    const read = await (await open(gateway.url + url)).end()
    expect([read.text, read.headers['referrer-policy']]).toEqual(['a b c', 'no-referrer'])
    expect((await open(gateway.url + url, { method: 'DELETE' })).status).toBe(403)
    expect(JSON.stringify(gateway.logs)).not.toContain('ticket=')
  })

  it('is made for a stream by its owner, with a scope that the owner has', async () => {
    const { url } = await startGateway(keys())
    const { id } = await (await chat(url, quick, as('alice'))).end()
    const make = async (who: { headers: Record<string, string> }, body: unknown) =>
      (await open(`${url}/v1/streams/${id}/tickets`, { method: 'POST', body, ...who })).end()
    const made = await make(as('alice'), { scope: 'cancel', ttl: 60 })
    expect(made.status).toBe(201)
    const { ticket, url: address, scope } = made.json as Record<string, string>
    expect(scope).toBe('cancel')
    expect((await open(`${url}/v1/streams/${id}`, { headers: { 'sluice-ticket': ticket! } })).status).toBe(200)
    expect((await open(url + address!, { method: 'DELETE' })).status).toBe(204)
    expect((await make(as('bob'), {})).status).toBe(404)
    expect((await make({ headers: { 'sluice-ticket': ticket! } }, {})).status).toBe(401)
    for (const body of [{ scope: 'admin' }, { ttl: 0 }, { ttl: 1e9 }, { ttl: '60' }, { owner: 'bob' }, []])
      expect((await make(as('alice'), body)).json).toMatchObject({ code: 'invalid_request' })
  })

  it('shows the answer only, and nothing of the request that the protocol repeats', async () => {
    const { url } = await startGateway(keys())
    const body = { model: 'mock', input: 'hi', instructions: 'Keep this to yourself.', ...quick }
    const made = await (await open(`${url}/v1/responses`, { method: 'POST', body, ...as('alice') })).end()
    const { id } = made.json as { id: string }
    const stream = id.replace('resp_', 'str_')
    const ticket = await (
      await open(`${url}/v1/streams/${stream}/tickets`, { method: 'POST', body: {}, ...as('alice') })
    ).end()
    const { url: address } = ticket.json as { url: string }
    const read = async (query: string) => (await open(`${url}${address}${query}`)).end()
    expect((await read('')).text).toBe('a b c')
    const refused = await read('&protocol=openai-responses')
    expect(refused.status).toBe(403)
    expect(refused.body).not.toContain('yourself')
    for (const protocol of ['native', 'openai-chat', 'anthropic-messages', 'ui-messages'])
      expect((await read(`&protocol=${protocol}`)).body).not.toContain('yourself')
  })

  it('takes away no right that everybody has on a gateway without callers', async () => {
    const gateway = await startGateway()
    const created = await (await chat(gateway.url, quick, { headers: { prefer: 'respond-async' } })).end()
    const { url } = created.json as { url: string }
    expect((await open(gateway.url + url, { method: 'DELETE' })).status).toBe(204)
    expect((await open(`${gateway.url}${url}x`)).status).toBe(401)
  })

  it('that is not valid does not stand in the way of a key', async () => {
    const { url } = await startGateway(keys())
    const { id } = await (await chat(url, quick, as('alice'))).end()
    const read = (headers: Record<string, string>) => open(`${url}/v1/streams/${id}?ticket=r1.bad`, { headers })
    expect((await read({})).status).toBe(401)
    expect((await read(as('alice').headers)).status).toBe(200)
    expect((await read(as('bob').headers)).status).toBe(404)
  })
})

it('charges memory to the key, not to the users that it names', async () => {
  const gateway = await startGateway(keys())
  for (const user of ['ann', 'ben']) await (await chat(gateway.url, quick, as('alice', user))).end()
  expect(gateway.services.budget.bytesOf('alice')).toBeGreaterThan(0)
  expect(gateway.services.budget.bytesOf('alice:ann')).toBe(0)
})
