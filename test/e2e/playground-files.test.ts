import { request as httpRequest } from 'node:http'
import request from 'supertest'
import { describe, expect, it } from 'vitest'
import type { RequestContext } from '../../src/http/context.ts'
import { playground } from '../../src/http/handlers/playground.ts'
import { startGateway } from '../support/gateway.ts'

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** The status of a path that is sent as it stands: `fetch` would tidy it up. */
async function statusOf(url: string, path: string): Promise<number | undefined> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ hostname, port, path }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    sent.on('error', reject).end()
  })
}

describe('the files of the playground', () => {
  it.each([
    ['/', 'text/html; charset=utf-8'],
    ['/playground/main.js', 'text/javascript; charset=utf-8'],
    ['/playground/style.css', 'text/css; charset=utf-8'],
    ['/playground/icon.svg', 'image/svg+xml'],
    ['/client/index.js', 'text/javascript; charset=utf-8'],
    ['/wires/carried.js', 'text/javascript; charset=utf-8'],
  ])('are served with their type and a strict policy: %s', async (path, type) => {
    const { url } = await startGateway()
    const response = await fetch(url + path)
    expect(response.status).toBe(200)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': type,
      'content-security-policy': POLICY,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-cache',
    })
    expect((await response.text()).length).toBeGreaterThan(100)

    const etag = response.headers.get('etag')!
    await request(url).get(path).set('If-None-Match', etag).expect(304, '')
    const head = await fetch(url + path, { method: 'HEAD' })
    expect(head.headers.get('etag')).toBe(etag)
  })

  it.each([
    '/playground/index.js',
    '/playground/../main.js',
    '/playground/..%2fmain.js',
    '/playground/%2e%2e/main.js',
    '/client/..%5c..%5cpackage.json',
    '/client/index.d.ts',
    '/client/index.js.map',
    '/client/constructor',
    '/client/%00',
    '/client/%E0%A4%A',
  ])('are these and no others: 404 to %s', async (path) => {
    const { url } = await startGateway()
    expect(await statusOf(url, path)).toBe(404)
  })

  it('are compressed for clients that take it, and only for them', async () => {
    const { url } = await startGateway()
    const encodings = async (accepted: string) => {
      const { headers, text } = await request(url).get('/').set('Accept-Encoding', accepted)
      expect(text).toContain('<!doctype html>')
      expect(headers.vary).toBe('Accept-Encoding')
      return headers['content-encoding']
    }
    expect([await encodings('gzip, br'), await encodings('identity'), await encodings('br')]).toEqual([
      'gzip',
      undefined,
      undefined,
    ])
  })

  it('are built by a command that is named where they have not been', () => {
    const handle = playground(new URL('file:///nowhere/'))
    expect(() => handle({ path: '/' } as RequestContext)).toThrow('run `npm run build` first')
  })

  it('leave no lines in the log, but for what is not there', async () => {
    const gateway = await startGateway()
    await fetch(`${gateway.url}/client/index.js`)
    await fetch(`${gateway.url}/client/nothing.js`)
    const paths = gateway.logs.filter(({ msg }) => msg === 'request').map(({ path }) => path)
    expect(paths).toEqual(['/client/nothing.js'])
  })
})
