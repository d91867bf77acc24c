import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { PoolOptions } from '../../providers/transport/connection-pool.ts'
import {
  ConnectTimeoutError,
  MalformedResponseError,
  TruncatedResponseError,
  type Transport,
} from '../../providers/transport/transport.ts'
import { startByteServer, type ByteConnection, type ByteServerOptions } from '../support/byte-server.ts'
import { Exchange } from '../support/exchange.ts'

const OK = 'HTTP/1.1 200 OK\r\n'
const WHOLE = `${OK}content-length: 2\r\n\r\nok`
const CHUNKED = `${OK}transfer-encoding: chunked\r\n\r\n`

/** TLS has no reset: the connection is closed without the alert that says so. */
const reset = (socket: Socket) => (socket instanceof TLSSocket ? socket.destroy() : socket.resetAndDestroy())

const says = (bytes: string) => (connection: ByteConnection) => void connection.socket.write(bytes, 'latin1')

export interface TransportSubject {
  create: (origin: URL, options?: PoolOptions) => Transport | Promise<Transport>
  /** The servers speak HTTPS, with the certificate of `test/support/tls.ts`. */
  tls?: boolean
  /** A proxy is between: it connects first, and to it. */
  proxied?: boolean
}

/** The suite that every transport passes. */
export function describeTransport(name: string, { create, tls = false, proxied = false }: TransportSubject): void {
  async function connect(url: string, options?: PoolOptions): Promise<Transport> {
    const transport = await create(new URL(url), options)
    onTestFinished(() => transport.close())
    return transport
  }

  /** A server that answers each request with this, and a transport to it. */
  async function serve(
    answer: string | ((connection: ByteConnection, position: number) => void),
    options?: PoolOptions & ByteServerOptions,
  ) {
    const server = await startByteServer(typeof answer === 'string' ? says(answer) : answer, { tls, ...options })
    const host = `${tls ? 'localhost' : '127.0.0.1'}:${server.port}`
    return { server, host, transport: await connect(`${tls ? 'https' : 'http'}://${host}`, options) }
  }

  describe(`${name}: a request`, () => {
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

  describe(`${name}: a response`, () => {
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

    it('is read no further while it is paused', async () => {
      const size = 16 * 1024 * 1024
      const big = `${OK}content-length: ${size}\r\n\r\n${'x'.repeat(size)}`
      const { transport } = await serve(({ socket }, position) => void socket.write(position === 0 ? big : WHOLE))
      const paused = new Exchange(transport)
      const told = vi.spyOn(paused, 'onBody')
      told.mockImplementationOnce(() => paused.control.pause())
      await paused.head
      for (let i = 0; i < 20; i++) expect(await new Exchange(transport).over).toBe('end')
      expect(paused.body.length).toBeLessThan(size / 4)
      paused.control.resume()
      expect(await paused.over).toBe('end')
    })
  })

  describe(`${name}: a connection`, () => {
    it.each([
      ['a wish to close', `${OK}connection: close\r\ncontent-length: 2\r\n\r\nok`],
      ['HTTP/1.0', 'HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok'],
      ['bytes behind the response', `${WHOLE}HTTP/1.1 200 OK\r\n`],
      ['a server that waits no longer', `${OK}keep-alive: timeout=1\r\ncontent-length: 2\r\n\r\nok`],
    ])('is closed after %s', async (_, answer) => {
      const { server, transport } = await serve(answer)
      const first = new Exchange(transport)
      expect(await first.over).toBe('end')
      await server.connections.entries[0]!.closed
      expect(first.body).toBe('ok')
      expect(await new Exchange(transport).over).toBe('end')
      expect(server.connections.entries).toHaveLength(2)
    })

    it('that idles is closed by `close`, a busy one after its response', async () => {
      const byPosition: ByteConnection[] = []
      const { server, transport } = await serve((connection, position) => {
        byPosition.push(connection)
        if (position !== 1) connection.socket.write(WHOLE)
      })
      const exchanges = [new Exchange(transport), new Exchange(transport)]
      await Promise.race(exchanges.map(({ over }) => over))
      await server.requests.until(({ length }) => length === 2)
      const [idle, busy] = byPosition as [ByteConnection, ByteConnection]
      transport.close()
      await idle.closed
      busy.socket.write(WHOLE)
      expect(await Promise.all(exchanges.map(({ over }) => over))).toEqual(['end', 'end'])
      await busy.closed
    })

    it('is not used again when the response came before the request had been sent', async () => {
      const { server, transport } = await serve(WHOLE)
      const exchange = new Exchange(transport, { body: 'x'.repeat(64 * 1024 * 1024) })
      const [connection] = await server.connections.until(({ length }) => length === 1)
      connection!.socket.pause()
      connection!.socket.write('HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig')
      expect(await exchange.over).toBe('end')
      expect(exchange.body).toBe('big')
      expect(await new Exchange(transport).over).toBe('end')
      expect(server.connections.entries).toHaveLength(2)
    })
  })

  describe(`${name}: a reused connection`, () => {
    const closes: [how: string, close: (connection: ByteConnection) => void][] = [
      ['is closed', ({ socket }) => void socket.end()],
      ['is reset', ({ socket }) => void reset(socket)],
    ]

    it.each(closes)('that %s before a response is replaced by a fresh one', async (_, close) => {
      const { server, transport } = await serve((connection, position) => {
        if (position === 1) close(connection)
        else connection.socket.write(WHOLE)
      })
      await new Exchange(transport).over
      const next = new Exchange(transport, { body: '{"next":1}' })
      expect(await next.over).toBe('end')
      expect(next.told).toEqual(['head', 'body', 'end'])
      expect(server.connections.entries.map(({ requests }) => requests.map(({ body }) => body))).toEqual([
        ['{}', '{"next":1}'],
        ['{"next":1}'],
      ])
    })

    it.each(closes)('that %s before a response is replaced only once', async (_, close) => {
      const { server, transport } = await serve((connection, position) => {
        if (position > 0) close(connection)
        else connection.socket.write(WHOLE)
      })
      await new Exchange(transport).over
      const next = new Exchange(transport)
      expect(await next.over).toBe('error')
      expect(next.told).toEqual(['error'])
      expect(server.requests.entries).toHaveLength(3)
    })

    it.each(closes)('that %s within the first byte of a response is not replaced', async (_, close) => {
      const { server, transport } = await serve((connection, position) => {
        if (position === 0) connection.socket.write(WHOLE)
        else connection.socket.write('H', () => setImmediate(close, connection))
      })
      await new Exchange(transport).over
      expect(await new Exchange(transport).over).toBe('error')
      expect(server.requests.entries).toHaveLength(2)
    })

    // A proxy passes them on a turn later, when the request is on its way.
    const unsolicited: (typeof closes)[number] = [
      'sends unsolicited bytes',
      ({ socket }) => void socket.write(WHOLE.replace('ok', 'no')),
    ]

    it.each<[what: string, leave: (connection: ByteConnection) => void]>([
      ...closes,
      ...(proxied ? [] : [unsolicited]),
    ])('that %s gets no further request, however late that is noticed', async (_, leave) => {
      const { server, transport } = await serve(WHOLE)
      await new Exchange(transport).over
      const [connection] = server.connections.entries
      // From here on, bytes arrive before the next timer or immediate runs.
      await new Promise((resolve) => setImmediate(resolve))
      leave(connection!)
      const next = new Exchange(transport)
      expect(await next.over).toBe('end')
      expect(next.body).toBe('ok')
      expect(connection!.requests).toHaveLength(1)
      expect(server.connections.entries).toHaveLength(2)
    })
  })

  describe.skipIf(tls || proxied)(`${name}: connecting`, () => {
    it('to a port where nobody listens is an error', async () => {
      const exchange = new Exchange(await connect('http://127.0.0.1:9/'))
      expect(await exchange.over).toBe('error')
      expect(exchange.error).toMatchObject({ code: 'ECONNREFUSED' })
      expect(exchange.told).toEqual(['error'])
    })

    it('may take no longer than its timeout: a handshake that is not answered', async () => {
      const { server } = await serve(WHOLE)
      const exchange = new Exchange(await connect(`https://127.0.0.1:${server.port}/`), { connectTimeoutMs: 50 })
      expect(await exchange.over).toBe('error')
      expect(exchange.error).toBeInstanceOf(ConnectTimeoutError)
      const [connection] = await server.connections.until(({ length }) => length === 1)
      await connection!.closed
    })

    it('reaches an address of IPv6', async () => {
      const server = await startByteServer(says(WHOLE), { host: '::1' })
      expect(await new Exchange(await connect(`http://[::1]:${server.port}/`)).over).toBe('end')
      expect(server.requests.entries[0]!.head).toContain(`host: [::1]:${server.port}`)
    })
  })

  describe(`${name}: the connection limit`, () => {
    it('makes further requests wait, in order, for at most the connect timeout', async () => {
      const { server, transport } = await serve(() => {}, { maxConnections: 1 })
      const first = new Exchange(transport, { body: 'a' })
      await server.requests.until(({ length }) => length === 1)
      const late = new Exchange(transport, { body: 'b', connectTimeoutMs: 10 })
      const left = new Exchange(transport, { body: 'c' })
      const next = new Exchange(transport, { body: 'd' })
      left.control.abort()
      expect(await late.over).toBe('error')
      expect(late.error).toBeInstanceOf(ConnectTimeoutError)
      const [connection] = server.connections.entries
      connection!.socket.write(WHOLE)
      expect(await first.over).toBe('end')
      await server.requests.until(({ length }) => length === 2)
      connection!.socket.write(WHOLE)
      expect(await next.over).toBe('end')
      expect(server.requests.entries.map(({ body }) => body)).toEqual(['a', 'd'])
      expect(left.told).toEqual([])
      expect(server.connections.entries).toHaveLength(1)
    })
  })

  describe(`${name}: an exchange that is aborted`, () => {
    it('before it is connected is told nothing, and sends nothing', async () => {
      const { server, transport } = await serve(WHOLE)
      const exchange = new Exchange(transport)
      exchange.control.abort()
      await new Exchange(transport).over
      expect(exchange.told).toEqual([])
      expect(server.requests.entries).toHaveLength(1)
    })

    it('before its head closes the connection, and is told nothing', async () => {
      const { server, transport } = await serve(() => exchange.control.abort())
      const exchange = new Exchange(transport)
      const [connection] = await server.connections.until(({ length }) => length === 1)
      await connection!.closed
      expect(exchange.told).toEqual([])
    })

    it.each([
      ['head', 'onHead', []],
      ['body', 'onBody', ['head']],
    ] as const)('within its %s is told no more, although all of it has come', async (_, call, told) => {
      const { server, transport } = await serve(WHOLE)
      const exchange = new Exchange(transport)
      vi.spyOn(exchange, call).mockImplementation(() => exchange.control.abort())
      const [connection] = await server.connections.until(({ length }) => length === 1)
      await connection!.closed
      expect(exchange.told).toEqual(told)
    })

    it('on a reused connection is not sent again', async () => {
      const { server, transport } = await serve((connection, position) => {
        if (position === 1) next.control.abort()
        else connection.socket.write(WHOLE)
      })
      await new Exchange(transport).over
      const next = new Exchange(transport)
      await server.connections.entries[0]!.closed
      await new Exchange(transport).over
      expect(next.told).toEqual([])
      expect(server.requests.entries).toHaveLength(3)
    })

    it('after its end leaves the connection to the next', async () => {
      const { server, transport } = await serve(WHOLE)
      const first = new Exchange(transport)
      await first.over
      const second = new Exchange(transport)
      first.control.abort()
      expect(await second.over).toBe('end')
      expect(server.connections.entries).toHaveLength(1)
    })
  })
}
