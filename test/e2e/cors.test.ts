import { describe, expect, it } from 'vitest'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { chat, open, resume, type Reader } from '../support/reader.ts'

const PAGE = 'https://chat.example'
const OTHER = 'https://other.example'
const from = (origin: string) => ({ origin })
const quick = { mock: { text: 'a b c', interval_ms: 0 } }

function preflight(url: string, origin: string, method = 'POST', headers = 'content-type'): Promise<Reader> {
  return open(url, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': method, 'access-control-request-headers': headers },
  })
}

const corsHeaders = ({ headers }: Reader) => Object.keys(headers).filter((name) => name.startsWith('access-control-'))

/** Every kind of answer there is to a page: streams, JSON, nothing, errors of each layer. */
async function answers(gateway: TestGateway, origin: string): Promise<Reader[]> {
  const { url } = gateway
  const headers = from(origin)
  const streamed = await chat(url, quick, { headers })
  await streamed.end()
  const openai = (fields: object) => {
    const body = { model: 'mock', messages: [{ role: 'user', content: 'hi' }], ...fields }
    return open(`${url}/v1/chat/completions`, { method: 'POST', headers, body })
  }
  const readers = [
    streamed,
    await chat(url, quick, { headers: { ...headers, accept: 'application/json' } }),
    await chat(url, quick, { headers: { ...headers, prefer: 'respond-async' } }),
    await resume(url, streamed.id, 2, { headers }),
    await resume(url, streamed.id, 4, { headers }),
    await resume(url, streamed.id, 99, { headers }),
    await resume(url, 'unknown', 0, { headers }),
    await open(`${url}/v1/streams/${streamed.id}`, { headers: { ...headers, accept: 'application/json' } }),
    await open(`${url}/v1/streams/${streamed.id}`, { method: 'DELETE', headers }),
    await open(`${url}/v1/models`, { headers }),
    await open(`${url}/v1/status`, { headers }),
    await openai({ ...quick, stream: true }),
    await openai({ mock: { fail_at: 0, fail_code: 'upstream_error' } }),
    await openai({ messages: [] }),
    await open(`${url}/nowhere`, { headers }),
    await open(`${url}/v1/chat`, { method: 'PUT', headers }),
  ]
  for (const reader of readers) await reader.end()
  expect(readers.map(({ status }) => status)).toStrictEqual([
    200, 200, 202, 200, 204, 400, 404, 200, 204, 200, 200, 200, 502, 400, 404, 405,
  ])
  return readers
}

describe('a page of another origin', () => {
  it('may send cookies, for a proxy that checks them, only where CORS_CREDENTIALS says so', async () => {
    const settings = { corsOrigin: [PAGE], allowedHosts: ['*'] }
    for (const corsCredentials of [false, true]) {
      const gateway = await startGateway({ ...settings, corsCredentials })
      for (const reader of [...(await answers(gateway, PAGE)), await preflight(`${gateway.url}/v1/chat`, PAGE)])
        expect(reader.headers['access-control-allow-credentials']).toBe(corsCredentials ? 'true' : undefined)
    }
  })

  it('may use nothing by default', async () => {
    const gateway = await startGateway({ allowedHosts: ['*'] })
    for (const reader of [...(await answers(gateway, PAGE)), await preflight(`${gateway.url}/v1/chat`, PAGE)])
      expect(corsHeaders(reader)).toStrictEqual([])
  })

  it('that is allowed may read every answer, errors too, and the headers that its SDK needs', async () => {
    const gateway = await startGateway({ corsOrigin: ['https://first.example', PAGE] })
    for (const { headers } of await answers(gateway, PAGE)) {
      expect(headers['access-control-allow-origin']).toBe(PAGE)
      expect(headers['access-control-allow-credentials']).toBeUndefined()
      expect(headers.vary?.split(', ')).toContain('Origin')
      const exposed = headers['access-control-expose-headers']?.toLowerCase().split(',') ?? []
      expect(exposed).toEqual(
        expect.arrayContaining(['sluice-stream-id', 'content-location', 'location', 'retry-after', 'x-request-id']),
      )
      // Whatever we add to an answer by ourselves, a page can read.
      const own = Object.keys(headers).filter((name) =>
        /^(sluice-|x-(request|should)|request-id|.*location)/.test(name),
      )
      expect(exposed).toEqual(expect.arrayContaining(own))
    }
  })

  it('that is not allowed may read nothing, and no cache gives it what another may', async () => {
    const gateway = await startGateway({ corsOrigin: [PAGE], allowedHosts: ['*'] })
    for (const reader of [...(await answers(gateway, OTHER)), await preflight(`${gateway.url}/v1/chat`, OTHER)]) {
      expect(corsHeaders(reader)).toStrictEqual([])
      expect(reader.headers.vary?.split(', ')).toContain('Origin')
    }
  })

  it('is told so beside what else an answer depends on', async () => {
    const { url } = await startGateway({ corsOrigin: [PAGE] })
    const { headers } = await open(`${url}/v1/status`, { headers: from(PAGE) })
    expect(headers.vary).toBe('Origin, Accept')
  })

  it('is any page with *', async () => {
    const gateway = await startGateway({ corsOrigin: ['*'] })
    for (const { headers } of await answers(gateway, OTHER)) expect(headers['access-control-allow-origin']).toBe('*')
    expect((await preflight(gateway.url, OTHER)).headers['access-control-allow-origin']).toBe('*')
  })
})

describe('a preflight', () => {
  it.each([
    ['/v1/chat', 'POST', 'authorization,content-type,idempotency-key,prefer'],
    ['/v1/streams/any', 'GET', 'last-event-id'],
    ['/v1/streams/any', 'DELETE', 'authorization'],
    ['/v1/chat/completions', 'POST', 'authorization,content-type,x-stainless-lang,x-stainless-retry-count'],
    ['/v1/messages', 'POST', 'x-api-key,anthropic-version,anthropic-beta,anthropic-dangerous-direct-browser-access'],
  ])('of %s %s allows %s, for a while', async (path, method, headers) => {
    const { url } = await startGateway({ corsOrigin: [PAGE] })
    const answer = await (await preflight(url + path, PAGE, method, headers)).end()
    expect(answer.status).toBe(204)
    expect(answer.body).toBe('')
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': PAGE,
      'access-control-allow-headers': headers,
      'access-control-max-age': '86400',
    })
    expect(answer.headers['access-control-allow-methods']?.split(',')).toContain(method)
  })

  it('is answered while the gateway drains, for the answer to it can then be read', async () => {
    const gateway = await startGateway({ corsOrigin: [PAGE] })
    gateway.services.draining = true
    expect((await preflight(`${gateway.url}/v1/chat`, PAGE)).status).toBe(204)
    const refused = await chat(gateway.url, quick, { headers: from(PAGE) })
    expect(refused.status).toBe(503)
    expect(refused.headers).toMatchObject({ 'access-control-allow-origin': PAGE, 'retry-after': '5' })
  })
})
