import { SignJWT } from 'jose'
import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { defineProvider } from '../../providers/provider.ts'
import { SCOPES, type Scope } from '../../src/access/caller.ts'
import { loadConfig } from '../../src/config.ts'
import { createGateway, type Gateway } from '../../src/gateway.ts'
import { listRoutes, type Route } from '../../src/http/routes.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { open, type Reader } from '../support/reader.ts'

// Routes × callers. The rows come from the route table: a route that is added without access control, or that this
// suite cannot reach as its owner, fails here.

const SECRET = 'a secret of more than thirty-two characters'

/** Answers everything that a client can ask a provider for. */
const everything = defineProvider({
  name: 'everything',
  models: ['m'],
  async *stream() {
    yield { type: 'delta', content: 'hi' }
    yield { type: 'done', finish_reason: 'stop', usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } }
  },
  async forward() {
    async function* body() {
      yield Buffer.from('{}')
    }
    return { status: 200, headers: new Map([['content-type', 'application/json']]), body: body() }
  },
})

let gateway: Gateway
let url: string

beforeAll(async () => {
  const without = (scope: Scope) => SCOPES.filter((each) => each !== scope)
  const config = {
    ...loadConfig({ environment: { METRICS_TOKEN: 'token-of-metrics' }, providers: ['everything'] }),
    port: 0,
    drainMs: 0,
    defaultModel: 'm',
    keys: [key('alice', SCOPES), key('bob', SCOPES), ...SCOPES.map((scope) => key(`without-${scope}`, without(scope)))],
    jwt: {
      ...grant('jwt', SCOPES),
      issuer: 'https://id.example',
      audience: 'sluice',
      secret: SECRET,
      ownerClaim: 'sub',
    },
  }
  gateway = await createGateway(config, { providers: [everything], logger: createLogger('silent') })
  url = await gateway.start()
  return () => gateway.drain()
})

function grant(name: string, scopes: readonly Scope[]) {
  return { name, scopes: [...scopes], limits: {}, userLimits: {} }
}

function key(name: string, scopes: readonly Scope[]) {
  return { ...grant(name, scopes), key: `key-of-${name}`, actsForUsers: true }
}

type Headers = Record<string, string>

const bearer = (credential: string): Headers => ({ authorization: `Bearer ${credential}` })
const ALICE = bearer('key-of-alice')
const BOB = bearer('key-of-bob')

async function token(expires: string): Promise<string> {
  const claims = new SignJWT().setProtectedHeader({ alg: 'HS256' }).setSubject('eve').setIssuer('https://id.example')
  return claims.setAudience('sluice').setExpirationTime(expires).sign(Buffer.from(SECRET))
}

const CHAT = { model: 'm', messages: [{ role: 'user', content: 'hi' }] }
const FORM = ['--b', 'content-disposition: form-data; name="model"', '', 'm', '--b--', ''].join('\r\n')

/** The body of a request to a path; those that have none are not `POST`. */
function bodyOf(path: string): { body: unknown; headers: Headers } {
  const json = { 'content-type': 'application/json' }
  if (path.startsWith('/v1/audio/trans'))
    return { body: FORM, headers: { 'content-type': 'multipart/form-data; boundary=b' } }
  if (path === '/v1/responses') return { body: { model: 'm', input: 'hi' }, headers: json }
  if (path.startsWith('/v1/messages')) return { body: { ...CHAT, max_tokens: 9 }, headers: json }
  if (path === '/v1/ui/chat')
    return {
      body: { id: 'c', messages: [{ id: '1', role: 'user', parts: [{ type: 'text', text: 'hi' }] }] },
      headers: json,
    }
  if (path.endsWith('/tickets')) return { body: {}, headers: json }
  return { body: { ...CHAT, input: 'hi' }, headers: json }
}

async function post(path: string, fields: Record<string, unknown>, headers: Headers): Promise<Reader> {
  return (await open(url + path, { method: 'POST', body: fields, headers })).end()
}

/** What a path names: something of alice's, or something that is not there. */
async function nameFor(path: string, whose: 'alice' | 'nobody'): Promise<string> {
  if (path.startsWith('/v1/responses/')) {
    if (whose === 'nobody') return 'resp_00000000000000000000000000000000'
    const made = await post('/v1/responses', { model: 'm', input: 'hi', store: true }, ALICE)
    return (made.json as { id: string }).id
  }
  if (path.startsWith('/v1/ui/')) {
    if (whose === 'nobody') return 'nobody'
    const id = randomUUID()
    await post('/v1/ui/chat', { ...(bodyOf('/v1/ui/chat').body as object), id }, ALICE)
    return id
  }
  if (path.startsWith('/v1/streams/')) {
    if (whose === 'nobody') return 'str_00000000000000000000000000000000'
    return (await post('/v1/chat', CHAT, ALICE)).id
  }
  return 'm'
}

/** Requests the route, with the parameter of its path set to a thing of alice's or of nobody. */
async function ask(
  route: Route,
  headers: Headers,
  whose: 'alice' | 'nobody' = 'alice',
  query?: (id: string) => string,
) {
  const name = await nameFor(route.path, whose)
  const path = route.path.replace(/:\w+|\{\*\w+\}/, name)
  const { body, headers: types } = route.method === 'post' ? bodyOf(route.path) : { body: undefined, headers: {} }
  const options = { method: route.method.toUpperCase(), body, headers: { ...types, ...headers } }
  // Without it, an answer that has ended counts as missing.
  const search = route.path.endsWith('/stream') ? '?startIndex=0' : (query?.(name) ?? '')
  const reader = await open(url + path + search, options)
  // The status feed does not end.
  if (reader.headers['content-type']?.startsWith('text/event-stream')) reader.cut()
  return reader.end()
}

/** The code of an error in the shape of its protocol; fails when the shape is another one. */
function codeIn(route: Route, reader: Reader): unknown {
  const body = reader.json as { code?: unknown; error?: { code?: unknown; sluice_code?: unknown } }
  const type = reader.headers['content-type'] ?? ''
  if (route.path.startsWith('/v1/messages')) {
    expect(body).toMatchObject({ type: 'error', error: { type: expect.any(String), message: expect.any(String) } })
    return body.error?.sluice_code
  }
  if (/^\/v1\/(chat\/completions|completions|responses|embeddings|moderations|images|audio)/.test(route.path)) {
    expect(body.error).toMatchObject({ message: expect.any(String), type: expect.any(String), param: null })
    return body.error?.code
  }
  expect(type).toContain('application/problem+json')
  expect(body).toMatchObject({ title: expect.any(String), status: reader.status, detail: expect.any(String) })
  return body.code
}

const isMissing = ({ status, body }: Reader) => status === 404 || (status === 204 && body === '')

/** Routes about one stream of its owner. */
const isAboutStream = ({ path }: Route) => /\/(streams|responses|ui\/chat)\/:/.test(path)

describe('routes × callers', async () => {
  // The table needs a gateway's services for its handlers, and none of its state.
  const config = { ...loadConfig({ providers: ['everything'] }), defaultModel: 'm' }
  const shown = await createGateway(config, { providers: [everything], logger: createLogger('silent') })
  const routes = listRoutes(shown.services)
  await shown.drain()

  it('lets everybody use the probes and the files of the playground, and nothing else', () => {
    const paths = routes.filter(({ access }) => access === 'open').map(({ path }) => path)
    expect(paths).toEqual(['/healthz', '/readyz', '/', '/playground/:file', '/client/:file', '/wires/:file'])
  })

  describe.each(
    routes.filter(({ access }) => access !== 'open').map((route) => [`${route.method} ${route.path}`, route] as const),
  )('%s', (_, route) => {
    it.each([
      ['no key', {}],
      ['a wrong key', bearer('key-of-mallory')],
      ['a wrong key in the header of another SDK', { 'x-api-key': 'key-of-mallory' }],
      ['a key that is only the beginning of one', bearer('key-of-alic')],
      ['a password', { authorization: `Basic ${btoa('alice:key-of-alice')}` }],
    ])('is 401 with %s', async (_name, headers) => {
      const reader = await ask(route, headers)
      expect([reader.status, codeIn(route, reader)]).toEqual([401, 'invalid_api_key'])
      expect(reader.headers['www-authenticate']).toBe('Bearer')
    })

    it('is 401 with an expired token, 2xx with a valid one', async () => {
      const reader = await ask(route, bearer(await token('-1 minute')))
      expect([reader.status, codeIn(route, reader)]).toEqual([401, 'invalid_api_key'])
      const own = await ask(route, bearer(await token('1 minute')))
      if (isAboutStream(route)) expect(isMissing(own)).toBe(true)
      else expect(own.status).toBeLessThan(300)
    })

    it('is 403 without its scope', async () => {
      const reader = await ask(route, bearer(`key-of-without-${route.access}`))
      expect([reader.status, codeIn(route, reader)]).toEqual([403, 'insufficient_scope'])
    })

    it('is 2xx for the right caller, with the key in either place', async () => {
      expect((await ask(route, ALICE)).status).toBeLessThan(300)
      expect((await ask(route, { 'x-api-key': 'key-of-alice' })).status).toBeLessThan(300)
    })

    it('a ticket opens it only if it is a route of the stream itself', async () => {
      const queryOf = (scope: 'read' | 'cancel', ttl: number) => (id: string) =>
        `?ticket=${gateway.services.tickets.issue(id, scope, ttl).ticket}`
      const statusOf = async (scope: 'read' | 'cancel', ttl = 60_000) =>
        (await ask(route, {}, 'alice', queryOf(scope, ttl))).status
      const expired = await ask(route, {}, 'alice', queryOf('cancel', -1000))
      expect(expired.status).toBe(401)
      expect(codeIn(route, expired)).toBe(route.byTicket ? 'invalid_ticket' : 'invalid_api_key')
      const expected = !route.byTicket ? [401, 401] : route.access === 'read' ? [200, 200] : [403, 204]
      expect([await statusOf('read'), await statusOf('cancel')]).toEqual(expected)
    })

    if (isAboutStream(route))
      it("answers for someone else's stream as for a missing one", async () => {
        const strip = ({ status, headers, body }: Reader) => ({
          status,
          headers: { ...headers, 'x-request-id': '', 'request-id': '', date: '' },
          body,
        })
        const missing = await ask(route, BOB, 'nobody')
        expect(isMissing(missing)).toBe(true)
        expect(strip(await ask(route, BOB))).toEqual(strip(missing))
        expect(strip(await ask(route, { ...ALICE, 'sluice-user': 'carol' }))).toEqual(strip(missing))
      })
  })
})
