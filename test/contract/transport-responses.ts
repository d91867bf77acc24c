import { describe, expect, it, vi } from 'vitest'
import { MalformedResponseError, TruncatedResponseError } from '../../providers/transport/transport.ts'
import type { ByteConnection } from '../support/byte-server.ts'
import { Exchange } from '../support/exchange.ts'
import { CHUNKED, OK, reset, says, WHOLE, type TransportStage } from './transport-stage.ts'

/** What every transport makes of a response, whole or not. */
export function describeResponses({ serve }: TransportStage): void {
  describe('a response', () => {
    it('arrives piece by piece, however slowly it drips', async () => {
      const { transport } = await serve(({ socket }) => void socket.write(CHUNKED))
      const exchange = new Exchange(transport)
      await exchange.head
      expect(exchange.told).toEqual(['head'])
      exchange.control.abort()
      // Each byte is sent when the one before it has arrived.
      const bytes = '4\r\ndrip\r\n0\r\n\r\n'
      const drip = await serve(({ socket }) => {
        let sent = 0
        const next = () => void (sent < bytes.length && socket.write(bytes[sent++]!, () => setImmediate(next)))
        socket.write(CHUNKED, next)
      })
      const slow = new Exchange(drip.transport)
      expect(await slow.over).toBe('end')
      expect(slow.body).toBe('drip')
      expect(slow.told.filter((call) => call === 'body').length).toBeGreaterThan(1)
    })

    it('brings its status and headers, repeated ones joined', async () => {
      const { transport } = await serve(
        `HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nx-a: 1\r\nX-A: 2\r\ncontent-length: 0\r\n\r\n`,
      )
      const exchange = new Exchange(transport)
      const { status, headers } = await exchange.head
      expect(status).toBe(429)
      expect([...headers]).toEqual([
        ['retry-after', '1'],
        ['x-a', '1, 2'],
        ['content-length', '0'],
      ])
      expect(await exchange.over).toBe('end')
    })

    it.each<[what: string, answer: string, status: number, body: string]>([
      ['chunks', `${CHUNKED}2\r\nok\r\n0\r\n\r\n`, 200, 'ok'],
      ['a length', WHOLE, 200, 'ok'],
      ['204', 'HTTP/1.1 204 No Content\r\n\r\n', 204, ''],
      ['HTTP/1.0 that keeps it', 'HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok', 200, 'ok'],
      ['as long a wait as anyone has', `${OK}keep-alive: timeout=999999999\r\ncontent-length: 2\r\n\r\nok`, 200, 'ok'],
      [
        'interim responses before it',
        `HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${WHOLE}`,
        200,
        'ok',
      ],
      ['a redirect, which is not followed', 'HTTP/1.1 307 Go\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n', 307, ''],
    ])('with %s leaves the connection to the next request', async (_, answer, status, body) => {
      const { server, transport } = await serve(answer)
      for (let i = 0; i < 3; i++) {
        const exchange = new Exchange(transport)
        expect(await exchange.over).toBe('end')
        expect(exchange.body).toBe(body)
        expect(exchange.told).toEqual(['head', ...(body ? ['body'] : []), 'end'])
        expect((await exchange.head).status).toBe(status)
      }
      expect(server.requests.entries).toHaveLength(3)
      expect(server.connections.entries).toHaveLength(1)
    })

    it.each([
      ['a length', 'content-length: 5'],
      ['chunks', 'transfer-encoding: chunked'],
    ])('to HEAD has no body, in spite of %s', async (_, field) => {
      const { transport } = await serve(`${OK}${field}\r\n\r\n`)
      for (let i = 0; i < 2; i++) {
        const exchange = new Exchange(transport, { method: 'HEAD', body: undefined })
        expect(await exchange.over).toBe('end')
        expect(exchange.told).toEqual(['head', 'end'])
      }
    })

    it('without a length ends with the connection', async () => {
      const { transport } = await serve(({ socket }) => void socket.end(`${OK}\r\nall of it`))
      const exchange = new Exchange(transport)
      expect(await exchange.over).toBe('end')
      expect(exchange.body).toBe('all of it')
    })

    it('may have a large head, up to a limit', async () => {
      const field = `x-large: ${'x'.repeat(40_000)}\r\n`
      const { transport } = await serve(
        ({ socket }, position) =>
          void socket.write(`${OK}${position === 0 ? field : field + field}content-length: 2\r\n\r\nok`),
      )
      expect(await new Exchange(transport).over).toBe('end')
      const second = new Exchange(transport)
      expect(await second.over).toBe('error')
      expect(second.error).toBeInstanceOf(MalformedResponseError)
    })

    it('may not consist of endless interim responses', async () => {
      const { transport } = await serve(({ socket }) => {
        const hint = `HTTP/1.1 103 Early\r\nx: ${'x'.repeat(9000)}\r\n\r\n`
        const more = () => void (socket.destroyed || socket.write(hint, () => setImmediate(more)))
        more()
      })
      const exchange = new Exchange(transport)
      expect(await exchange.over).toBe('error')
      expect(exchange.error).toBeInstanceOf(MalformedResponseError)
    })

    it.each<[what: string, answer: (connection: ByteConnection) => void, told: string[], error: unknown]>([
      ['is no HTTP', says('SSH-2.0-x\r\n\r\n'), ['error'], MalformedResponseError],
      ['has a malformed header', says(`${OK}content-length: 2\r\na b: c\r\n\r\nok`), ['error'], MalformedResponseError],
      [
        'changes the protocol',
        says('HTTP/1.1 101 Go\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
        ['error'],
        MalformedResponseError,
      ],
      ['does not come', ({ socket }) => socket.end(), ['error'], TruncatedResponseError],
      ['does not come, but a reset', ({ socket }) => reset(socket), ['error'], Error],
      ['ends in its head', ({ socket }) => socket.end(OK), ['error'], TruncatedResponseError],
      [
        'ends before its length',
        ({ socket }) => socket.end(`${OK}content-length: 3\r\n\r\nok`),
        ['head', 'body', 'error'],
        TruncatedResponseError,
      ],
      [
        'ends within its chunks',
        ({ socket }) => socket.end(`${CHUNKED}2\r\nok\r\n`),
        ['head', 'body', 'error'],
        TruncatedResponseError,
      ],
      ['turns into nonsense', says(`${CHUNKED}2\r\nok\r\nnonsense`), ['head', 'body', 'error'], MalformedResponseError],
    ])('that %s is an error, reported once, after the part that came', async (_, answer, told, error) => {
      const { server, transport } = await serve(answer)
      const exchange = new Exchange(transport)
      await exchange.over
      await server.connections.entries[0]!.closed
      expect(exchange.told).toEqual(told)
      expect(exchange.error).toBeInstanceOf(error)
      expect(server.requests.entries).toHaveLength(1)
    })

    it('that is reset within its body is an error', async () => {
      const { transport } = await serve(({ socket }) => {
        socket.write(`${OK}content-length: 9\r\n\r\nsome`, () => void exchange.head.then(() => reset(socket)))
      })
      const exchange = new Exchange(transport)
      expect(await exchange.over).toBe('error')
      expect(exchange.told.at(0)).toBe('head')
    })

    it('may be of several megabytes, one at a time or three', async () => {
      const letters = ['a', 'b', 'c', 'd']
      const big = (letter: string) => letter.repeat(3_000_000)
      const { transport } = await serve(({ socket }, position) => {
        const chunk = `2710\r\n${letters[position]!.repeat(10_000)}\r\n`
        socket.write(CHUNKED)
        for (let i = 0; i < 300; i++) socket.write(chunk)
        socket.write('0\r\n\r\n')
      })
      const first = new Exchange(transport)
      expect(await first.over).toBe('end')
      const exchanges = [first, ...[1, 2, 3].map(() => new Exchange(transport))]
      expect(await Promise.all(exchanges.map(({ over }) => over))).toEqual(['end', 'end', 'end', 'end'])
      const received = exchanges.map(({ body }) => letters.find((letter) => body === big(letter)))
      expect(new Set(received)).toEqual(new Set(letters))
    })

    it('is read no further while it is paused', async () => {
      const size = 16 * 1024 * 1024
      const big = `${OK}content-length: ${size}\r\n\r\n${'x'.repeat(size)}`
      const { transport } = await serve(({ socket }, position) => void socket.write(position === 0 ? big : WHOLE))
      const paused = new Exchange(transport)
      const told = vi.spyOn(paused, 'onBody')
      told.mockImplementationOnce(() => paused.control.pause())
      await paused.head
      // Several turns of the event loop, with other responses.
      const others = async () => {
        for (let i = 0; i < 20; i++) expect(await new Exchange(transport).over).toBe('end')
      }
      await others()
      const before = paused.body.length
      await others()
      expect(paused.body.length).toBe(before)
      expect(before).toBeLessThan(size / 4)
      paused.control.resume()
      expect(await paused.over).toBe('end')
      expect(paused.body.length + told.mock.calls[0]![0].length).toBe(size)
    })
  })
}
