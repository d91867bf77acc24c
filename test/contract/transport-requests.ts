import { describe, expect, it } from 'vitest'
import type { ByteRequest } from '../support/byte-server.ts'
import { Exchange } from '../support/exchange.ts'
import { WHOLE, type TransportStage } from './transport-stage.ts'

/** How every transport sends a request. */
export function describeRequests({ serve }: TransportStage): void {
  describe('a request', () => {
    it('goes to any route with any method, framed by the transport', async () => {
      const { server, host, transport } = await serve(WHOLE)
      const headers = { 'X-Team': 'blåb', accept: 'text/event-stream' }
      await new Exchange(transport, { path: '/v1/models/m:stream?alt=sse', headers, body: '{"a":"ä"}' }).over
      await new Exchange(transport, { method: 'GET', path: '/v1/r/1?after=2', headers, body: undefined }).over
      await new Exchange(transport, { path: '/v1/r/1/cancel', body: undefined }).over
      const [post, get, cancel] = server.requests.entries
      expect(post).toMatchObject({
        head: expect.stringMatching(/^POST \/v1\/models\/m:stream\?alt=sse HTTP\/1\.1\r\n/),
        body: '{"a":"ä"}',
      })
      expect(post!.head.toLowerCase().split('\r\n')).toEqual(
        expect.arrayContaining([`host: ${host}`, 'x-team: blåb', 'accept: text/event-stream', 'content-length: 10']),
      )
      expect(get!.head).toMatch(/^GET \/v1\/r\/1\?after=2 HTTP\/1\.1\r\n/)
      expect(get!.head.toLowerCase()).not.toMatch(/content-length|transfer-encoding/)
      expect(cancel!.head).toMatch(/^POST \/v1\/r\/1\/cancel HTTP\/1\.1\r\n/)
      expect(cancel!.head.toLowerCase()).toContain('\r\ncontent-length: 0')
    })

    it.each(['GET', 'HEAD', 'DELETE'] as const)('without a body has no length: %s', async (method) => {
      const { server, transport } = await serve('HTTP/1.1 204 No Content\r\n\r\n')
      await new Exchange(transport, { method, body: undefined }).over
      const [{ head }] = server.requests.entries as [ByteRequest]
      expect(head).toMatch(new RegExp(`^${method} / HTTP/1\\.1\\r\\n`))
      expect(head.toLowerCase()).not.toMatch(/content-length|transfer-encoding/)
    })

    it('has each header once, whatever the case of its name: the last counts', async () => {
      const { server, transport } = await serve(WHOLE)
      await new Exchange(transport, { headers: { accept: '*/*', Accept: 'text/event-stream' } }).over
      expect(server.requests.entries[0]!.head.match(/^accept: .*$/gim)).toEqual(['accept: text/event-stream'])
    })

    it('may be of several megabytes, one at a time or two', async () => {
      const { server, transport } = await serve(WHOLE)
      const body = JSON.stringify('ä😀\n'.repeat(400_000))
      const send = () => new Exchange(transport, { body }).over
      expect(await send()).toBe('end')
      expect(await Promise.all([send(), send()])).toEqual(['end', 'end'])
      expect(server.requests.entries.map((request) => request.body === body)).toEqual([true, true, true])
    })

    it.each([
      ['a header name', { headers: { 'a b': 'c' } }],
      ['a header value', { headers: { a: 'b\r\nc: d' } }],
      ['a path with a blank', { path: '/a b' }],
      ['a path with a line break', { path: '/a\r\nhost: evil' }],
      ['a path outside ASCII', { path: '/ä' }],
      ['a path without a slash', { path: 'a/b' }],
      ['an empty path', { path: '' }],
      ['a path of another origin', { path: 'http://evil.test/' }],
    ])('is refused at once with %s that cannot be sent', async (_, request) => {
      const { server, transport } = await serve(WHOLE)
      expect(() => new Exchange(transport, request)).toThrow(TypeError)
      await new Exchange(transport).over
      expect(server.connections.entries).toHaveLength(1)
    })
  })
}
