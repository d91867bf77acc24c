import { exportJWK, exportSPKI, generateKeyPair, SignJWT, type CryptoKey, type JWTPayload } from 'jose'
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { loadConfig, type Config } from '../../src/config.ts'
import { startGateway } from '../support/gateway.ts'
import { chat, open, resume } from '../support/reader.ts'
import { makeFolder } from '../support/process.ts'

const quick = { mock: { text: 'a', interval_ms: 0 } }

/** An issuer with its keys at a URL of its own. */
async function startIssuer() {
  const keys: { kid: string; privateKey: CryptoKey; jwk: object }[] = []
  let fetches = 0
  let answer: string | undefined
  const server = createServer((_, response) => {
    fetches += 1
    response.setHeader('content-type', 'application/json')
    response.end(answer ?? JSON.stringify({ keys: keys.map(({ jwk }) => jwk) }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`,
    get fetches() {
      return fetches
    },
    answerWith: (text: string) => (answer = text),
    async rotate() {
      const { privateKey, publicKey } = await generateKeyPair('RS256')
      const kid = randomUUID()
      keys.splice(0, keys.length, { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'RS256' } })
    },
    sign: (claims: JWTPayload = {}) => sign(keys[0]!.privateKey, claims, keys[0]!.kid),
  }
}

function sign(key: CryptoKey | Uint8Array, claims: JWTPayload = {}, kid?: string, alg = 'RS256'): Promise<string> {
  const usual = { iss: 'https://id.example', aud: 'sluice', sub: 'ada', exp: Math.floor(Date.now() / 1000) + 60 }
  return new SignJWT({ ...usual, ...claims }).setProtectedHeader({ alg, ...(kid && { kid }) }).sign(key)
}

async function configure(jwt: Record<string, unknown>): Promise<Partial<Config>> {
  const yaml = JSON.stringify({ jwt: { issuer: 'https://id.example', audience: 'sluice', ...jwt } })
  return loadConfig({ file: `${await makeFolder({ 'sluice.yaml': yaml })}/sluice.yaml` })
}

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })

describe('tokens of an issuer that publishes its keys', () => {
  it('let their subject in, who owns what it starts', async () => {
    const issuer = await startIssuer()
    await issuer.rotate()
    const { url } = await startGateway(await configure({ jwksUrl: issuer.url }))
    const own = await (await chat(url, quick, bearer(await issuer.sign()))).end()
    expect(own.dones).toHaveLength(1)
    expect((await resume(url, own.id, 0, bearer(await issuer.sign({ jti: '2' })))).status).toBe(200)
    expect((await resume(url, own.id, 0, bearer(await issuer.sign({ sub: 'bob' })))).status).toBe(404)
    expect(issuer.fetches).toBe(1)
  })

  it('do not show their subject what all subjects together have used', async () => {
    const issuer = await startIssuer()
    await issuer.rotate()
    const { url } = await startGateway(await configure({ jwksUrl: issuer.url, scopesClaim: 'scope' }))
    await (await chat(url, quick, bearer(await issuer.sign({ scope: 'chat' })))).end()
    const usageFor = async (sub: string, scope: string) =>
      (await open(`${url}/v1/usage`, bearer(await issuer.sign({ sub, scope })))).end()
    expect((await usageFor('bob', 'read')).json).toMatchObject({ code: 'insufficient_scope' })
    expect((await usageFor('eve', 'read admin')).json).toMatchObject({ usage: [{ caller: 'jwt', streams: 1 }] })
  })

  it('are accepted after the issuer has changed its key', async () => {
    const issuer = await startIssuer()
    await issuer.rotate()
    const { url } = await startGateway(await configure({ jwksUrl: issuer.url }))
    const old = await issuer.sign()
    expect((await chat(url, quick, bearer(old))).status).toBe(200)
    await issuer.rotate()
    expect((await chat(url, quick, bearer(await issuer.sign()))).status).toBe(200)
    expect(issuer.fetches).toBe(2)
  })

  it('make no flood of requests to the issuer when they name keys that it does not have', async () => {
    const issuer = await startIssuer()
    await issuer.rotate()
    const { url } = await startGateway(await configure({ jwksUrl: issuer.url }))
    const { privateKey } = await generateKeyPair('RS256')
    for (let i = 0; i < 20; i++)
      expect((await chat(url, quick, bearer(await sign(privateKey, {}, `invented ${i}`)))).status).toBe(401)
    expect(issuer.fetches).toBe(5)
  })

  it('are refused with 503 while its keys cannot be fetched: the caller may be right', async () => {
    const issuer = await startIssuer()
    await issuer.rotate()
    issuer.answerWith('<html>')
    const { url } = await startGateway(await configure({ jwksUrl: issuer.url }))
    const answer = await (await chat(url, quick, bearer(await issuer.sign()))).end()
    expect(answer.status).toBe(503)
    expect(answer.json).toMatchObject({ code: 'auth_unavailable', retryable: true })
    expect(answer.headers['retry-after']).toBe('5')
  })
})

describe('a token', async () => {
  const { privateKey, publicKey } = await generateKeyPair('RS256')
  const pem = await exportSPKI(publicKey)
  const start = async (jwt: Record<string, unknown> = {}) => startGateway(await configure({ publicKey: pem, ...jwt }))
  const seconds = (from: number) => Math.floor(Date.now() / 1000) + from

  it.each([
    ['has expired', { exp: seconds(-60) }],
    ['has a wrong or missing exp', { exp: undefined }],
    ['has a wrong or missing nbf', { nbf: seconds(60) }],
    ['has a wrong or missing iss', { iss: 'https://other.example' }],
    ['has a wrong or missing aud', { aud: 'other' }],
    ['has a wrong or missing sub', { sub: undefined }],
    ["'s sub must be a text of 1 to 256 characters", { sub: 'a'.repeat(257) }],
  ])('is refused when it %s', async (why, claims) => {
    const { url } = await start()
    const answer = await (await chat(url, quick, bearer(await sign(privateKey, claims as JWTPayload)))).end()
    expect(answer.status).toBe(401)
    expect(answer.json).toMatchObject({
      code: 'invalid_api_key',
      detail: `The token${why.startsWith("'") ? '' : ' '}${why}.`,
    })
  })

  it('is refused when another key signed it, or the public key as a shared secret, or nobody', async () => {
    const { url } = await start()
    const other = await generateKeyPair('RS256')
    const unsigned = (await sign(privateKey)).replace(/^[^.]+/, btoa('{"alg":"none"}').replaceAll('=', ''))
    for (const token of [
      await sign(other.privateKey),
      await sign(Buffer.from(pem), {}, undefined, 'HS256'),
      unsigned,
      unsigned.replace(/[^.]+$/, 'x'),
      'a.b.c',
    ])
      expect((await chat(url, quick, bearer(token))).status).toBe(401)
  })

  it('has the scopes of its claim, as a list or as a text', async () => {
    const { url } = await start({ scopesClaim: 'scope', ownerClaim: 'email' })
    const statusOf = async (scope: unknown) =>
      (await chat(url, quick, bearer(await sign(privateKey, { scope, email: 'ada@x.example' })))).status
    expect(
      await Promise.all([statusOf('read chat openid'), statusOf(['chat']), statusOf('read'), statusOf([])]),
    ).toEqual([200, 200, 403, 403])
    expect(await statusOf(undefined)).toBe(200)
  })

  it('of a subject cannot act for another user', async () => {
    const { url } = await start()
    const { headers } = bearer(await sign(privateKey))
    expect((await chat(url, quick, { headers: { ...headers, 'sluice-user': 'bob' } })).status).toBe(403)
    const own = await (await chat(url, { ...quick, user: 'bob' }, { headers })).end()
    expect((await resume(url, own.id, 0, { headers })).status).toBe(200)
  })

  it('with a shared secret is refused when it asks for a public-key algorithm', async () => {
    const secret = 'a secret of more than thirty-two characters'
    const { url } = await startGateway(await configure({ secret }))
    expect((await chat(url, quick, bearer(await sign(Buffer.from(secret), {}, undefined, 'HS256')))).status).toBe(200)
    expect((await chat(url, quick, bearer(await sign(privateKey)))).status).toBe(401)
  })
})

it('fetches no keys for a key that is no token', async () => {
  const issuer = await startIssuer()
  const { url } = await startGateway(await configure({ jwksUrl: issuer.url }))
  expect((await open(`${url}/v1/models`, bearer('not-a-token'))).status).toBe(401)
  expect(issuer.fetches).toBe(0)
})
