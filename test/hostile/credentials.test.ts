// Credentials that are wrong in every way: one answer, no stream, nothing kept.

import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, type JWTPayload } from 'jose'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { jwtSchema, keySchema } from '../../src/access/access-schema.ts'
import { toPrincipal } from '../../src/access/api-keys.ts'
import { isUser, toCaller } from '../../src/access/caller.ts'
import type { Config } from '../../src/config.ts'
import { MEMORY_KINDS } from '../../src/store/budget.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { answersTo, ask, startTarget, type AskOptions } from './target.ts'
import { expectUnharmed } from './withstand.ts'

const KEY = 'slk_the-right-key'
const keys = [keySchema.parse({ name: 'app', key: KEY })]
const ISSUER = { issuer: 'https://issuer.example', audience: 'sluice' }
const BODY = '{"messages":[{"role":"user","content":"hi"}],"max_tokens":1,"mock":{"tokens":1,"interval_ms":0}}'
const POSTS = ['/v1/chat', '/v1/chat/completions', '/v1/messages', '/v1/responses', '/v1/ui/chat', '/v1/embeddings']

const portOf = ({ url }: { url: string }) => ({ port: Number(new URL(url).port) })

const start = (settings: Partial<Config>) => startGateway({ keys, retentionMs: 0, resumeWindowMs: 0, ...settings })

/** No stream was started, and no memory is held. */
async function expectNothingDone(gateway: TestGateway): Promise<void> {
  const { services, logs } = gateway
  for (const kind of MEMORY_KINDS) expect(services.budget.held(kind), kind).toBe(0)
  expect(services.generations.size).toBe(0)
  for (const protocol of services.protocols.names)
    expect(await gateway.metric(`sluice_connections_open{protocol="${protocol}"}`)).toBe(0)
  expect(logs.filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([])
}

/** Lines of a request's head, in Latin-1. */
const WRONG: Record<string, string> = {
  none: '',
  'another key': 'authorization: Bearer slk_another-key',
  'a key with its end cut off': `authorization: Bearer ${KEY.slice(0, -1)}`,
  'a key and more': `authorization: Bearer ${KEY}x`,
  'a key in capitals': `authorization: Bearer ${KEY.toUpperCase()}`,
  'a key with a space in it': 'authorization: Bearer slk_the -right-key',
  'two keys in one header': `authorization: Bearer ${KEY} ${KEY}`,
  'a list of keys': `authorization: Bearer ${KEY},${KEY}`,
  'another scheme': `authorization: Basic ${KEY}`,
  'no scheme': `authorization: ${KEY}`,
  'a scheme alone': 'authorization: Bearer ',
  'a tab after the scheme': `authorization: Bearer\t${KEY}`,
  'a quoted key': `authorization: Bearer "${KEY}"`,
  'a name and a key': `authorization: Bearer app:${KEY}`,
  'the hash of a key': `authorization: Bearer sha256:${'0'.repeat(64)}`,
  'a key of 12 KB': `authorization: Bearer ${'k'.repeat(12_000)}`,
  unicode: `authorization: Bearer ${Buffer.from('ключ', 'utf8').toString('latin1')}`,
  'a key and a space of unicode': `authorization: Bearer ${KEY}\xa0`,
  'a prototype': 'authorization: Bearer __proto__',
  'x-api-key, twice': `x-api-key: ${KEY}\r\nx-api-key: ${KEY}`,
  'x-api-key, a hundred times': `x-api-key: a\r\n`.repeat(100).trimEnd(),
  'a key in a cookie': `cookie: authorization=${KEY}`,
  'a ticket that is a key': `sluice-ticket: ${KEY}`,
}

/** Refused by the parser of HTTP. */
const BROKEN: Record<string, [line: string, status: number]> = {
  'NUL in a key': [`authorization: Bearer ${KEY}\0`, 400],
  'CR in a key': [`authorization: Bearer ${KEY}\rx: y`, 400],
  'a header of 16 KB': [`authorization: Bearer ${'k'.repeat(17_000)}`, 431],
  'a token of 1 MB': [`authorization: Bearer ${'a'.repeat(500_000)}.${'b'.repeat(500_000)}.c`, 431],
}

const post = (path: string, line: string) =>
  `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${BODY.length}\r\nconnection: close\r\n${line}${line && '\r\n'}\r\n${BODY}`

describe('a request with a wrong key', () => {
  it.each(Object.entries(WRONG))('gets 401 in each protocol: %s', async (_, line) => {
    const gateway = await start({})
    for (const path of POSTS) {
      const answer = await answersTo(portOf(gateway), post(path, line))
      expect(answer).toMatch(/^HTTP\/1\.1 401 [^]*WWW-Authenticate: Bearer\r\n/i)
      expect(answer).toMatch(/Sluice-Error: invalid_(api_key|ticket)\r\n/i)
      expect(answer).not.toContain(KEY)
    }
    await expectNothingDone(gateway)
  })

  it.each(Object.entries(BROKEN))('is refused before it is a request: %s', async (_, [line, status]) => {
    const gateway = await start({})
    expect(await answersTo(portOf(gateway), post('/v1/chat', line))).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    await expectNothingDone(gateway)
  })

  it('gets as far with the right key', async () => {
    const gateway = await start({})
    for (const line of [`authorization: bearer   ${KEY}  `, `x-api-key: ${KEY}`])
      expect(await answersTo(portOf(gateway), post('/v1/chat', line))).toMatch(/^HTTP\/1\.1 200 /)
  })

  it('makes the gateway keep nothing of its body, however many come', async () => {
    const target = await startTarget({ SLUICE_KEYS: `app:${KEY}` })
    const before = target.rss()
    const body = Buffer.alloc(10 * 1024 * 1024 - 1, 'x')
    const next = Buffer.from('GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n')
    const flood = async () => {
      for (let i = 0; i < 4; i++)
        for (const path of ['/v1/chat', '/v1/messages', '/v1/audio/transcriptions']) {
          const head = `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`
          const answer = await answersTo(target, Buffer.concat([Buffer.from(head), body, next]))
          expect([...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(['401', '200'])
        }
    }
    await Promise.all([flood(), flood(), flood(), flood()])
    // 48 bodies are 480 MB.
    await expectUnharmed(target, { memory: 120, before })
  })
})

const rsa = await generateKeyPair('RS256', { extractable: true })
const pem = await exportSPKI(rsa.publicKey)
const now = () => Math.floor(Date.now() / 1000)

interface TokenParts {
  payload?: JWTPayload
  header?: Record<string, unknown>
  key?: Parameters<SignJWT['sign']>[0]
}

function sign({ payload = {}, header = {}, key = rsa.privateKey }: TokenParts = {}): Promise<string> {
  const claims = { iss: ISSUER.issuer, aud: ISSUER.audience, sub: 'ann', exp: now() + 60, ...payload }
  return new SignJWT(claims).setProtectedHeader({ alg: 'RS256', ...header }).sign(key)
}

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const claims = { iss: ISSUER.issuer, aud: ISSUER.audience, sub: 'ann', exp: now() + 600 }
const nested = (depth: number) => JSON.parse('[]'.replace('[]', `${'['.repeat(depth)}${']'.repeat(depth)}`))

const TOKENS: Record<string, () => Promise<string>> = {
  'alg none': async () => `${part({ alg: 'none' })}.${part(claims)}.x`,
  'alg none, no signature': async () => `${part({ alg: 'none' })}.${part(claims)}.`,
  'HS256, signed with the public key': () => sign({ header: { alg: 'HS256' }, key: Buffer.from(pem) }),
  'HS256, signed with nothing': () => sign({ header: { alg: 'HS256' }, key: Buffer.from('\0') }),
  'an alg in capitals': async () => `${part({ alg: 'NONE' })}.${part(claims)}.x`,
  'an alg that is a list': async () => `${part({ alg: ['RS256'] })}.${part(claims)}.x`,
  'the key of an attacker in its header': async () => {
    const own = await generateKeyPair('RS256', { extractable: true })
    return sign({ header: { jwk: await exportJWK(own.publicKey) }, key: own.privateKey })
  },
  'a URL of an attacker in its header': async () => {
    const own = await generateKeyPair('RS256', { extractable: true })
    return sign({ header: { jku: 'http://127.0.0.1:9/keys' }, key: own.privateKey })
  },
  'a critical header that nobody knows': async () =>
    `${part({ alg: 'RS256', crit: ['x'], x: 1 })}.${(await sign()).split('.').slice(1).join('.')}`,
  'a changed payload': async () => (await sign()).replace(/\.[\w-]+\./, `.${part({ ...claims, sub: 'bob' })}.`),
  'another issuer': () => sign({ payload: { iss: 'https://evil.example' } }),
  'another audience': () => sign({ payload: { aud: 'another' } }),
  'an expiry that is over': () => sign({ payload: { exp: now() - 60 } }),
  'no expiry': async () => sign({ payload: { exp: undefined } as unknown as JWTPayload }),
  'an expiry that is a text': () => sign({ payload: { exp: '9999999999' } as unknown as JWTPayload }),
  'a start in the future': () => sign({ payload: { nbf: now() + 600 } }),
  'no owner': () => sign({ payload: { sub: undefined } as unknown as JWTPayload }),
  'an owner that is empty': () => sign({ payload: { sub: '' } }),
  'an owner that is a list': () => sign({ payload: { sub: ['ann'] } as unknown as JWTPayload }),
  'an owner of 8 KB': () => sign({ payload: { sub: 'a'.repeat(8000) } }),
  'a payload that is no object': async () => `${part({ alg: 'RS256' })}.${part([claims])}.x`,
  'a payload that is no JSON': async () => `${part({ alg: 'RS256' })}.bm8.x`,
  'a header that is nested deeply': async () => `${part({ alg: 'RS256', x: nested(3000) })}.${part(claims)}.x`,
  'five parts': async () => `a.b.c.d.e`,
  'dots alone': async () => '..',
}

const jwt = (more: object) => jwtSchema.parse({ ...ISSUER, ...more })

const withToken = (token: string): AskOptions => ({ body: BODY, headers: { authorization: `Bearer ${token}` } })

describe('a token', () => {
  it.each(Object.entries(TOKENS))('with %s gets 401', async (_, make) => {
    const gateway = await start({ keys: [], jwt: jwt({ publicKey: pem }) })
    const token = await make()
    for (const path of POSTS) {
      const answer = await ask(portOf(gateway), path, withToken(token))
      expect(answer).toMatchObject({ status: 401, headers: { 'sluice-error': 'invalid_api_key' } })
      expect(answer.body).not.toContain(token)
    }
    await expectNothingDone(gateway)
  })

  it.each<[string, TokenParts]>([
    ['that is as it should be', {}],
    ['with claims that are nested deeply', { payload: { x: nested(1000) } }],
    ['that never expires', { payload: { exp: 1e300 } }],
    ['with a name of a prototype as owner', { payload: { sub: '__proto__' } }],
  ])('%s is taken', async (_, parts) => {
    const gateway = await start({ keys: [], jwt: jwt({ publicKey: pem }) })
    expect((await ask(portOf(gateway), '/v1/chat', withToken(await sign(parts)))).status).toBe(200)
  })

  it('with a public key as shared secret is never taken: HMAC and public keys do not mix', async () => {
    const gateway = await start({ keys: [], jwt: jwt({ secret: pem }) })
    expect((await ask(portOf(gateway), '/v1/chat', withToken(await sign()))).status).toBe(401)
  })
})

/** An issuer that answers as told, and counts. */
async function startIssuer(answer: (response: ServerResponse) => void | Promise<void>) {
  const issuer = { url: '', fetches: 0 }
  const server = createServer((_, response) => {
    issuer.fetches += 1
    response.on('error', () => {})
    void answer(response)
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  issuer.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`
  return issuer
}

const jwks = async () => JSON.stringify({ keys: [{ ...(await exportJWK(rsa.publicKey)), kid: 'a', alg: 'RS256' }] })

const ISSUERS: Record<string, (response: ServerResponse) => void> = {
  'redirects to itself': (response) => void response.writeHead(302, { location: '/keys' }).end(),
  'redirects to the metadata of a cloud': (response) =>
    void response.writeHead(307, { location: 'http://169.254.169.254/' }).end(),
  fails: (response) => void response.writeHead(500).end('{"keys":[]}'),
  'sends garbage': (response) => void response.end('<html>'),
  'sends JSON that is no key set': (response) => void response.end('[1]'),
  'sends keys that are none': (response) =>
    void response.end('{"keys":[1,null,{"kty":"RSA"},{"kid":"a","kty":"RSA"}]}'),
  'sends JSON that is nested deeply': (response) => void response.end('['.repeat(200_000)),
  'closes the connection': (response) => void response.destroy(),
  'sends 100 MB': (response) => {
    response.write('{"keys":[')
    const more = () => {
      while (!response.destroyed && response.write('{"kty":"RSA","kid":"b"},'.repeat(4000)));
      if (!response.destroyed) response.once('drain', more)
    }
    more()
  },
}

describe('an issuer', () => {
  it.each(Object.entries(ISSUERS))('that %s lets nobody in, and is asked once', async (_, answer) => {
    const issuer = await startIssuer(answer)
    const gateway = await start({ keys: [], jwt: jwt({ jwksUrl: issuer.url }) })
    const before = process.memoryUsage().rss
    for (let i = 0; i < 20; i++) {
      const token = await sign({ header: { kid: 'a' }, payload: { jti: String(i) } })
      expect([401, 503]).toContain((await ask(portOf(gateway), '/v1/chat', withToken(token))).status)
    }
    expect(issuer.fetches).toBe(1)
    expect(process.memoryUsage().rss - before).toBeLessThan(100e6)
    await expectNothingDone(gateway)
  })

  it('that stalls delays no request with a key, and is asked once', async () => {
    const issuer = await startIssuer((response) => void response.write('{"keys":['))
    const gateway = await start({ jwt: jwt({ jwksUrl: issuer.url }) })
    const waiting = Array.from({ length: 20 }, async (_, i) =>
      ask(portOf(gateway), '/v1/chat', withToken(await sign({ payload: { jti: String(i) } }))),
    )
    expect((await ask(portOf(gateway), '/v1/chat', withToken(KEY))).status).toBe(200)
    for (const { status, headers } of await Promise.all(waiting))
      expect({ status, retry: headers['retry-after'] }).toEqual({ status: 503, retry: '5' })
    expect(issuer.fetches).toBe(1)
  })

  it('is not asked again for each unknown key: a flood of them costs five requests', async () => {
    const set = await jwks()
    const issuer = await startIssuer((response) => void response.end(set))
    const gateway = await start({ keys: [], jwt: jwt({ jwksUrl: issuer.url }) })
    const known = await sign({ header: { kid: 'a' } })
    expect((await ask(portOf(gateway), '/v1/chat', withToken(known))).status).toBe(200)
    await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const token = await sign({ header: { kid: `unknown-${i}` } })
        expect((await ask(portOf(gateway), '/v1/chat', withToken(token))).status).toBe(401)
      }),
    )
    expect(issuer.fetches).toBeLessThanOrEqual(5)
    expect((await ask(portOf(gateway), '/v1/chat', withToken(known))).status).toBe(200)
  })
})

describe('an end user', () => {
  const name = fc.stringMatching(/^[\w.-]{1,64}$/)
  const user = fc.oneof(
    fc.string({ minLength: 1, maxLength: 256 }),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 10 }),
    fc.constantFrom(':', 'a:b', 'b:', '__proto__', '\ud800', 'é', 'Ã©', ' a', 'a '),
    name,
  )
  const principal = (named: string) => toPrincipal({ ...keySchema.parse({ name: named, key: 'k' }) })
  const caller = fc.tuple(fc.oneof(name, fc.constantFrom('a', 'a-b', '__proto__')), fc.option(user, { nil: undefined }))

  it('is never the owner that another one is', () => {
    fc.assert(
      fc.property(caller, caller, ([nameA, userA], [nameB, userB]) => {
        const isSame = nameA === nameB && userA === userB
        const a = toCaller(principal(nameA), userA)
        const b = toCaller(principal(nameB), userB)
        expect(a.owner === b.owner).toBe(isSame)
      }),
      { numRuns: 3000 },
    )
  })

  /** Streams are found by their owner only, so this tells whom a request is made for. */
  async function ownerOf(gateway: TestGateway, line: string, body = BODY): Promise<string> {
    const bytes = Buffer.from(body)
    const head = `POST /v1/chat HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nauthorization: Bearer ${KEY}\r\nprefer: respond-async\r\nconnection: close\r\ncontent-length: ${bytes.length}\r\n`
    const answer = await answersTo(portOf(gateway), Buffer.concat([Buffer.from(`${head}${line}\r\n`), bytes]))
    const [, id = ''] = /Sluice-Stream-Id: (str_\w+)/i.exec(answer) ?? []
    const found = await gateway.services.store.find(id, undefined)
    return found.status === 'found' ? found.log.info.owner : answer.slice(9, 12)
  }

  it.each<[what: string, line: string, owner: string]>([
    ['none', '', 'app'],
    ['an empty name', 'sluice-user:\r\n', 'app'],
    ['a name', 'sluice-user: ann\r\n', 'app:ann'],
    ['a name with a colon', 'sluice-user: ann:b:\r\n', 'app:ann:b:'],
    ['a name in UTF-8', 'sluice-user: zoë\r\n', 'app:zoë'],
    ['a name of a prototype', 'sluice-user: __proto__\r\n', 'app:__proto__'],
    ['two names', 'sluice-user: ann\r\nsluice-user: bob\r\n', 'app:ann, bob'],
    ['256 characters', `sluice-user: ${'u'.repeat(256)}\r\n`, `app:${'u'.repeat(256)}`],
    ['257 characters', `sluice-user: ${'u'.repeat(257)}\r\n`, '400'],
    ['8 KB', `sluice-user: ${'u'.repeat(8000)}\r\n`, '400'],
    ['CR', 'sluice-user: a\rb: c\r\n', '400'],
    ['NUL', 'sluice-user: a\0b\r\n', '400'],
    ['a folded line', 'sluice-user: a\r\n b\r\n', '400'],
  ])('is named by Sluice-User: %s', async (_, line, owner) => {
    expect(await ownerOf(await start({ retentionMs: 10_000 }), line)).toBe(owner)
  })

  it('has the same name in a header as in a body, and no other user has it', async () => {
    const gateway = await start({ retentionMs: 10_000 })
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }), async (text) => {
        fc.pre(isUser(text) && text.trim() === text && !/\p{Cc}/u.test(text))
        const body = JSON.stringify({ ...JSON.parse(BODY), user: text })
        expect(await ownerOf(gateway, '', body)).toBe(`app:${text}`)
        expect(await ownerOf(gateway, `sluice-user: ${text}\r\n`)).toBe(`app:${text}`)
      }),
      { numRuns: 60 },
    )
  })

  it('in bytes that are no UTF-8 is refused', async () => {
    const gateway = await start({})
    const line = `authorization: Bearer ${KEY}\r\nsluice-user: zo\xeb`
    expect(await answersTo(portOf(gateway), post('/v1/chat', line))).toMatch(/^HTTP\/1\.1 400 /)
  })
})
