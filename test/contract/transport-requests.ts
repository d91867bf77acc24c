import { describe, expect, it } from 'vitest'
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

    it.each([
      ['a header name', { headers: { 'a b': 'c' } }],
      ['a header value', { headers: { a: 'b\r\nc: d' } }],
      ['a path', { path: '/a HTTP/1.1\r\nevil: 1' }],
      ['a path of another origin', { path: 'http://evil.test/' }],
    ])('is refused at once with %s that cannot be sent', async (_, request) => {
      const { server, transport } = await serve(WHOLE)
      expect(() => new Exchange(transport, request)).toThrow(TypeError)
      await new Exchange(transport).over
      expect(server.connections.entries).toHaveLength(1)
    })
  })
}
