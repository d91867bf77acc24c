import { describe, expect, it } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { chat, open } from '../support/reader.ts'

const quick = { mock: { text: 'a', interval_ms: 0 } }

describe('a gateway on loopback', () => {
  it.each([
    'evil.example',
    'evil.example:8080',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
    '0.0.0.0',
    '10.0.0.1',
    'a b',
  ])('refuses a page whose name resolves to this machine: Host %s', async (host) => {
    const { url } = await startGateway()
    for (const path of ['/v1/chat', '/metrics', '/v1/status', '/', '/v1/models']) {
      const answer = await (await open(url + path, { headers: { host } })).end()
      expect(answer.status).toBe(403)
      expect(answer.json).toMatchObject({ code: 'host_not_allowed', errors: [{ path: 'Host' }] })
    }
  })

  it.each(['http://evil.example', 'https://localhost.evil.example', 'null', 'chrome-extension://abc'])(
    'refuses a page from another machine: Origin %s',
    async (origin) => {
      const { url } = await startGateway()
      const answer = await (await chat(url, quick, { headers: { origin } })).end()
      expect(answer.status).toBe(403)
      expect(answer.json).toMatchObject({ code: 'host_not_allowed', errors: [{ path: 'Origin' }] })
    },
  )

  it.each([
    'localhost',
    'localhost:8080',
    'LOCALHOST',
    'sluice.localhost',
    '127.0.0.1',
    '127.8.9.1:80',
    '[::1]:8080',
    'localhost.',
  ])('accepts its own names: Host %s', async (host) => {
    const { url } = await startGateway()
    expect((await chat(url, quick, { headers: { host, origin: `http://${host}` } })).status).toBe(200)
  })

  it('accepts the names of ALLOWED_HOSTS and the origins of CORS_ORIGIN', async () => {
    const { url } = await startGateway({ allowedHosts: ['chat.example'], corsOrigin: ['https://app.example'] })
    const host = 'chat.example:443'
    for (const origin of ['https://chat.example', 'https://app.example', 'http://localhost:5173'])
      expect((await chat(url, quick, { headers: { host, origin } })).status).toBe(200)
    expect((await chat(url, quick, { headers: { host: 'app.example' } })).status).toBe(403)
    expect((await chat(url, quick, { headers: { host, origin: 'http://app.example' } })).status).toBe(403)
  })

  it('refuses a page of another port, unless CORS_ORIGIN has it', async () => {
    const { url } = await startGateway({ corsOrigin: ['http://localhost:5173'] })
    const from = (origin: string, site: string) =>
      chat(url, quick, { headers: { origin, 'sec-fetch-site': site } }).then((answer) => answer.end())
    const refused = await from('http://localhost:3000', 'same-site')
    expect(refused.status).toBe(403)
    expect(refused.json).toMatchObject({ code: 'host_not_allowed', errors: [{ path: 'Origin' }] })
    expect((await from('http://localhost:3000', 'cross-site')).status).toBe(403)
    // A development server that passes requests on changes the Host, but not what the browser said.
    expect((await from('http://localhost:3000', 'same-origin')).status).toBe(200)
    expect((await from('http://localhost:3000', 'same-site')).status).toBe(403)
    expect((await from('http://localhost:5173', 'same-site')).status).toBe(200)
  })
})

it('a gateway that listens on all addresses accepts any name', async () => {
  const { url } = await startGateway({ host: '0.0.0.0' })
  const headers = { host: 'chat.example', origin: 'https://chat.example' }
  expect((await chat(url, quick, { headers })).status).toBe(200)
})
