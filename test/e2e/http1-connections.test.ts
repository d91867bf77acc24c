import dns from 'node:dns'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import tls from 'node:tls'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { Http1Transport } from '../../providers/transport/http1/http1-transport.ts'
import {
  ConnectTimeoutError,
  MalformedResponseError,
  TruncatedResponseError,
} from '../../providers/transport/transport.ts'
import { Exchange } from '../support/exchange.ts'
import { startByteServer, type ByteConnection } from '../support/byte-server.ts'
import { CA } from '../support/tls.ts'

function connect(url: string): Http1Transport {
  const connections = new Http1Transport(new URL(url))
  onTestFinished(() => connections.close())
  return connections
}

const OK = 'HTTP/1.1 200 OK\r\n'
const WHOLE = `${OK}content-length: 2\r\n\r\nok`
const says = (bytes: string) => (connection: ByteConnection) => void connection.socket.write(bytes, 'latin1')

/** A server that answers each request with this, and its connections. */
async function serve(answer: string | ((connection: ByteConnection, position: number) => void)) {
  const server = await startByteServer(typeof answer === 'string' ? says(answer) : answer)
  return { server, connections: connect(`http://127.0.0.1:${server.port}`) }
}

afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

describe('a request', () => {
  it('is sent as it was given, framed by us', async () => {
    const { server, connections } = await serve(WHOLE)
    const headers = { 'X-Team': 'blåb', accept: '*/*', Accept: 'text/event-stream' }
    await new Exchange(connections, { path: '/v1/chat?a=b', headers, body: '{"a":"ä"}' }).over
    expect(server.requests.entries).toEqual([
      {
        head: [
          'POST /v1/chat?a=b HTTP/1.1',
          `host: 127.0.0.1:${server.port}`,
          'x-team: blåb',
          'accept: text/event-stream',
          'content-length: 10',
        ].join('\r\n'),
        body: '{"a":"ä"}',
      },
    ])
  })

  it.each([
    ['a name', { 'a b': 'c' }],
    ['a value', { a: 'b\r\nc: d' }],
  ])('is not sent with %s of a header that cannot be', async (_, headers) => {
    const { server, connections } = await serve(WHOLE)
    expect(() => new Exchange(connections, { headers })).toThrow(TypeError)
    await new Exchange(connections).over
    expect(server.connections.entries).toHaveLength(1)
  })

  it.each(['a/b', '/a b', '/a\r\nhost: evil', '/ä', ''])('is not sent with a path that cannot be: %j', async (path) => {
    const { server, connections } = await serve(WHOLE)
    expect(() => new Exchange(connections, { path })).toThrow(TypeError)
    await new Exchange(connections).over
    expect(server.connections.entries).toHaveLength(1)
  })

  it.each(['GET', 'HEAD', 'DELETE'] as const)('has no length without a body: %s', async (method) => {
    const { server, connections } = await serve(`${OK}content-length: 0\r\n\r\n`)
    await new Exchange(connections, { method, body: undefined }).over
    expect(server.requests.entries[0]!.head).toBe(`${method} / HTTP/1.1\r\nhost: 127.0.0.1:${server.port}`)
  })

  it('says that it has no body when it is a POST', async () => {
    const { server, connections } = await serve(WHOLE)
    await new Exchange(connections, { body: undefined }).over
    expect(server.requests.entries[0]!.head).toContain('\r\ncontent-length: 0')
  })

  it('may be of several megabytes', async () => {
    const { server, connections } = await serve(WHOLE)
    const body = JSON.stringify('ä😀\n'.repeat(400_000))
    const first = new Exchange(connections, { body })
    const second = new Exchange(connections, { body })
    expect(await Promise.all([first.over, second.over])).toEqual(['end', 'end'])
    expect(server.requests.entries.map((request) => request.body === body)).toEqual([true, true])
  })
})

describe('a response', () => {
  it('may be of several megabytes, for several at a time', async () => {
    const big = (letter: string) => letter.repeat(3_000_000)
    const letters = ['a', 'b', 'c']
    const { connections } = await serve(({ socket }, position) => {
      socket.write(`${OK}transfer-encoding: chunked\r\n\r\n`)
      for (let i = 0; i < 300; i++) socket.write(`2710\r\n${letters[position]!.repeat(10_000)}\r\n`)
      socket.write('0\r\n\r\n')
    })
    const exchanges = letters.map(() => new Exchange(connections))
    expect(await Promise.all(exchanges.map(({ over }) => over))).toEqual(['end', 'end', 'end'])
    expect(exchanges.map(({ body }) => letters.find((letter) => body === big(letter)))).toEqual(
      expect.arrayContaining(letters),
    )
  })

  it('may end with the connection', async () => {
    const { connections } = await serve(({ socket }) => socket.end(`${OK}\r\nall of it`))
    const exchange = new Exchange(connections)
    expect(await exchange.over).toBe('end')
    expect(exchange.body).toBe('all of it')
  })

  it.each<[what: string, answer: (connection: ByteConnection) => void, told: string[], error: unknown]>([
    ['is no HTTP', says('SSH-2.0-x\r\n\r\n'), ['error'], MalformedResponseError],
    ['does not come', ({ socket }) => socket.end(), ['error'], TruncatedResponseError],
    ['does not come, but a reset', ({ socket }) => socket.resetAndDestroy(), ['error'], Error],
    ['ends in its head', ({ socket }) => socket.end(OK), ['error'], TruncatedResponseError],
    [
      'ends in its body',
      ({ socket }) => socket.end(`${OK}content-length: 3\r\n\r\nok`),
      ['head', 'body', 'error'],
      TruncatedResponseError,
    ],
    [
      'turns into nonsense',
      says(`${OK}transfer-encoding: chunked\r\n\r\n2\r\nok\r\nnonsense`),
      ['head', 'body', 'error'],
      MalformedResponseError,
    ],
  ])('that %s is an error, told once, after what came', async (_, answer, told, error) => {
    const { server, connections } = await serve(answer)
    const exchange = new Exchange(connections)
    await exchange.over
    await server.connections.entries[0]!.closed
    expect(exchange.told).toEqual(told)
    expect(exchange.error).toBeInstanceOf(error)
  })

  it('that a reset ends is an error, and never the end of a body without a length', async () => {
    const { connections } = await serve(({ socket }) => {
      socket.write(`${OK}\r\nsome`, () => void exchange.head.then(() => socket.resetAndDestroy()))
    })
    const exchange = new Exchange(connections)
    expect(await exchange.over).toBe('error')
    expect(exchange.error).toMatchObject({ code: 'ECONNRESET' })
  })
})

describe('a connection', () => {
  it.each([
    ['a body of a length', WHOLE],
    ['chunks', `${OK}transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`],
    ['no body', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['a body that is not modified', 'HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\n'],
    ['an interim response', `HTTP/1.1 100 Continue\r\n\r\n${WHOLE}`],
    ['HTTP/1.0 that keeps it', 'HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n'],
    ['as long a wait as anyone has', `${OK}keep-alive: timeout=999999999\r\ncontent-length: 0\r\n\r\n`],
  ])('carries the next request after %s', async (_, answer) => {
    const { server, connections } = await serve(answer)
    for (let i = 0; i < 3; i++) expect(await new Exchange(connections).over).toBe('end')
    expect(server.requests.entries).toHaveLength(3)
    expect(server.connections.entries).toHaveLength(1)
  })

  it.each([
    ['a wish to close', `${OK}connection: close\r\ncontent-length: 2\r\n\r\nok`],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok'],
    ['a response that is followed by something', `${WHOLE}HTTP/1.1 200 OK\r\n`],
    ['a server that waits no longer', `${OK}keep-alive: timeout=1\r\ncontent-length: 2\r\n\r\nok`],
  ])('is closed by us after %s', async (_, answer) => {
    const { server, connections } = await serve(answer)
    const first = new Exchange(connections)
    expect(await first.over).toBe('end')
    await server.connections.entries[0]!.closed
    expect(first.told).toEqual(['head', ...(first.body ? ['body'] : []), 'end'])
    expect(first.body).toBe('ok')
    expect(await new Exchange(connections).over).toBe('end')
    expect(server.connections.entries).toHaveLength(2)
  })

  it('is not used again when the response came before the request had been sent', async () => {
    const { server, connections } = await serve(WHOLE)
    const exchange = new Exchange(connections, { body: 'x'.repeat(64 * 1024 * 1024) })
    const [connection] = await server.connections.until(({ length }) => length === 1)
    connection!.socket.pause()
    connection!.socket.write('HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig')
    expect(await exchange.over).toBe('end')
    expect(exchange.body).toBe('big')
    expect(await new Exchange(connections).over).toBe('end')
    expect(server.connections.entries).toHaveLength(2)
  })

  it('is one of as many as there are requests at a time', async () => {
    const { server, connections } = await serve(({ socket }, position) => {
      // None is answered before all have come.
      if (position === 2) for (const each of server.connections.entries) each.socket.write(WHOLE)
      if (position > 2) socket.write(WHOLE)
    })
    const ask = () => Promise.all([1, 2, 3].map(() => new Exchange(connections).over))
    expect(await ask()).toEqual(['end', 'end', 'end'])
    expect(await ask()).toEqual(['end', 'end', 'end'])
    expect(server.connections.entries).toHaveLength(3)
  })

  it.each<[what: string, leave: (connection: ByteConnection) => void]>([
    ['the server has closed', ({ socket }) => socket.end()],
    ['the server has reset', ({ socket }) => socket.resetAndDestroy()],
    ['says what nobody asked for', ({ socket }) => socket.write(WHOLE)],
  ])('that %s is no longer used', async (_, leave) => {
    const { server, connections } = await serve(WHOLE)
    await new Exchange(connections).over
    const [connection] = server.connections.entries
    leave(connection!)
    await connection!.closed
    // Our side of it has closed when what was sent before has come: one that is made now says so.
    const other = connect(`http://127.0.0.1:${server.port}/`)
    await new Exchange(other).over
    const next = new Exchange(connections)
    expect(await next.over).toBe('end')
    expect(next.body).toBe('ok')
    expect(server.connections.entries).toHaveLength(3)
  })

  it('that has been idle for too long is not used again, not even before it is known to be closed', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { server, connections } = await serve(WHOLE)
    await new Exchange(connections).over
    vi.advanceTimersByTime(3999)
    await new Exchange(connections).over
    expect(server.connections.entries).toHaveLength(1)
    vi.advanceTimersByTime(4000)
    expect(await new Exchange(connections).over).toBe('end')
    expect(server.connections.entries).toHaveLength(2)
    await server.connections.entries[0]!.closed
  })

  it('is kept for a little less than the server says', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { server, connections } = await serve(`${OK}Keep-Alive: max=9, timeout=60\r\ncontent-length: 0\r\n\r\n`)
    await new Exchange(connections).over
    vi.advanceTimersByTime(58_999)
    await new Exchange(connections).over
    expect(server.connections.entries).toHaveLength(1)
    vi.advanceTimersByTime(59_000)
    await server.connections.entries[0]!.closed
  })

  it('leaves no timer behind when it is closed', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { server, connections } = await serve(WHOLE)
    await new Exchange(connections).over
    expect(vi.getTimerCount()).toBe(1)
    connections.close()
    await server.connections.entries[0]!.closed
    await expect.poll(() => vi.getTimerCount()).toBe(0)
  })

  it('that is idle keeps no process alive', async () => {
    const { connections } = await serve(WHOLE)
    const open = () => process.getActiveResourcesInfo().filter((each) => each === 'TCPSocketWrap').length
    const before = open()
    const exchange = new Exchange(connections)
    await exchange.head
    await exchange.over
    // The server's end of it.
    expect(open()).toBe(before + 1)
    const next = new Exchange(connections)
    expect(open()).toBe(before + 2)
    await next.over
  })
})

describe('a reused connection', () => {
  const closes: [how: string, close: (connection: ByteConnection) => void][] = [
    ['is closed', ({ socket }) => void socket.end()],
    ['is reset', ({ socket }) => void socket.resetAndDestroy()],
  ]

  it.each(closes)('that %s before an answer is replaced by a fresh one', async (_, close) => {
    const { server, connections } = await serve((connection, position) => {
      if (position === 1) close(connection)
      else connection.socket.write(WHOLE)
    })
    await new Exchange(connections).over
    const next = new Exchange(connections, { body: '{"next":1}' })
    expect(await next.over).toBe('end')
    expect(next.told).toEqual(['head', 'body', 'end'])
    expect(server.connections.entries.map(({ requests }) => requests.map(({ body }) => body))).toEqual([
      ['{}', '{"next":1}'],
      ['{"next":1}'],
    ])
  })

  it.each(closes)('that %s before an answer is replaced only once', async (_, close) => {
    const { server, connections } = await serve((connection, position) => {
      if (position > 0) close(connection)
      else connection.socket.write(WHOLE)
    })
    await new Exchange(connections).over
    const next = new Exchange(connections)
    expect(await next.over).toBe('error')
    expect(next.told).toEqual(['error'])
    expect(server.requests.entries).toHaveLength(3)
  })

  it.each(closes)('that %s within an answer is not replaced', async (_, close) => {
    const { server, connections } = await serve((connection, position) => {
      if (position === 0) connection.socket.write(WHOLE)
      else connection.socket.write('H', () => close(connection))
    })
    await new Exchange(connections).over
    const next = new Exchange(connections)
    expect(await next.over).toBe('error')
    expect(server.requests.entries).toHaveLength(2)
  })

  it('is not replaced when the request is cancelled', async () => {
    const { server, connections } = await serve((connection, position) => {
      if (position === 1) next.control.abort()
      else connection.socket.write(WHOLE)
    })
    await new Exchange(connections).over
    const next = new Exchange(connections)
    await server.connections.entries[0]!.closed
    await new Exchange(connections).over
    expect(next.told).toEqual([])
    expect(server.requests.entries).toHaveLength(3)
  })

  it('sends nothing when the request is cancelled before it is written', async () => {
    const { server, connections } = await serve(WHOLE)
    await new Exchange(connections).over
    const next = new Exchange(connections)
    next.control.abort()
    await server.connections.entries[0]!.closed
    expect(next.told).toEqual([])
    expect(server.requests.entries).toHaveLength(1)
  })

  it.each<[what: string, leave: (connection: ByteConnection) => void]>([
    ...closes,
    ['sends unsolicited bytes', ({ socket }) => void socket.write(WHOLE.replace('ok', 'no'))],
  ])('that %s gets no further request, however late that is noticed', async (_, leave) => {
    const { server, connections } = await serve(WHOLE)
    await new Exchange(connections).over
    const [connection] = server.connections.entries
    // From here on, bytes arrive before the next timer or immediate runs.
    await new Promise((resolve) => setImmediate(resolve))
    leave(connection!)
    const next = new Exchange(connections)
    expect(await next.over).toBe('end')
    expect(next.body).toBe('ok')
    expect(connection!.requests).toHaveLength(1)
    expect(server.connections.entries).toHaveLength(2)
  })
})

describe('the connection limit', () => {
  /** A server whose answers the test sends, and a client with `maxConnections`. */
  async function hold(maxConnections: number) {
    const server = await startByteServer(() => {})
    const connections = new Http1Transport(new URL(`http://127.0.0.1:${server.port}/`), { maxConnections })
    onTestFinished(() => connections.close())
    const ask = (body: string, connectTimeoutMs = 20_000) => new Exchange(connections, { body, connectTimeoutMs })
    const asked = async (count: number) => {
      const requests = await server.requests.until(({ length }) => length === count)
      return requests.map(({ body }) => body)
    }
    const connection = (position: number) => server.connections.entries[position]!
    return { server, ask, asked, connection }
  }

  it('makes further requests wait, and serves them in order', async () => {
    const { server, ask, asked, connection } = await hold(2)
    const exchanges = ['a', 'b', 'c', 'd'].map((body) => ask(body))
    expect((await asked(2)).toSorted()).toEqual(['a', 'b'])
    connection(0).socket.write(WHOLE)
    expect((await asked(3)).at(-1)).toBe('c')
    connection(0).socket.write(WHOLE)
    expect((await asked(4)).at(-1)).toBe('d')
    for (const each of server.connections.entries) each.socket.write(WHOLE)
    expect(await Promise.all(exchanges.map(({ over }) => over))).toEqual(['end', 'end', 'end', 'end'])
    expect(server.connections.entries).toHaveLength(2)
  })

  it('opens a new connection when one is closed', async () => {
    const { server, ask, asked, connection } = await hold(1)
    const exchanges = [ask('a'), ask('b'), ask('c')]
    await asked(1)
    connection(0).socket.write(WHOLE.replace(OK, `${OK}connection: close\r\n`))
    await asked(2)
    connection(1).socket.resetAndDestroy()
    await asked(3)
    connection(2).socket.write(WHOLE)
    expect(await Promise.all(exchanges.map(({ over }) => over))).toEqual(['end', 'error', 'end'])
    expect(server.connections.entries).toHaveLength(3)
  })

  it('lets a replaced connection exceed it briefly', async () => {
    const { ask, asked, connection } = await hold(1)
    const first = ask('a')
    await asked(1)
    connection(0).socket.write(WHOLE)
    await first.over
    const lost = ask('b')
    const waits = ask('c')
    await asked(2)
    connection(0).socket.resetAndDestroy()
    expect((await asked(3)).at(-1)).toBe('b')
    connection(1).socket.write(WHOLE)
    expect((await asked(4)).at(-1)).toBe('c')
    connection(1).socket.write(WHOLE)
    expect(await Promise.all([lost.over, waits.over])).toEqual(['end', 'end'])
  })

  it('makes no request wait longer than the connect timeout', async () => {
    const { ask, asked, connection } = await hold(1)
    const first = ask('a')
    await asked(1)
    const late = ask('b', 10)
    const patient = ask('c')
    expect(await late.over).toBe('error')
    expect(late.error).toBeInstanceOf(ConnectTimeoutError)
    connection(0).socket.write(WHOLE)
    await first.over
    expect((await asked(2)).at(-1)).toBe('c')
    connection(0).socket.write(WHOLE)
    expect(await patient.over).toBe('end')
    expect(late.told).toEqual(['error'])
  })

  it('gives no connection to a request that was cancelled while waiting', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { ask, asked, connection } = await hold(1)
    const first = ask('a')
    await asked(1)
    const timers = vi.getTimerCount()
    const left = ask('b')
    const next = ask('c')
    left.control.abort()
    expect(vi.getTimerCount()).toBe(timers + 1)
    connection(0).socket.write(WHOLE)
    await first.over
    expect((await asked(2)).at(-1)).toBe('c')
    connection(0).socket.write(WHOLE)
    expect(await next.over).toBe('end')
    expect(left.told).toEqual([])
  })
})

describe('a paused response', () => {
  it.each([
    ['http', false],
    ['https', true],
  ])('is read no further until it is resumed, with %s', async (scheme, encrypted) => {
    trust()
    const size = 16 * 1024 * 1024
    const answer = `${OK}content-length: ${size}\r\n\r\n${'x'.repeat(size)}`
    const server = await startByteServer(({ socket }, position) => void socket.write(position === 0 ? answer : WHOLE), {
      tls: encrypted,
    })
    const connections = connect(`${scheme}://localhost:${server.port}/`)
    const paused = new Exchange(connections)
    const told = vi.spyOn(paused, 'onBody')
    told.mockImplementationOnce(() => paused.control.pause())
    await paused.head
    // Several turns of the event loop, with other responses.
    for (let i = 0; i < 20; i++) expect(await new Exchange(connections).over).toBe('end')
    const before = paused.body.length
    for (let i = 0; i < 20; i++) expect(await new Exchange(connections).over).toBe('end')
    expect(paused.body.length).toBe(before)
    expect(before).toBeLessThan(size / 4)
    paused.control.resume()
    expect(await paused.over).toBe('end')
    expect(paused.body.length + told.mock.calls[0]![0].length).toBe(size)
  })

  it('resumes reading its connection when it is over', async () => {
    // No connection times out.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { server, connections } = await serve(WHOLE)
    const exchange = new Exchange(connections)
    vi.spyOn(exchange, 'onBody').mockImplementation(() => exchange.control.pause())
    expect(await exchange.over).toBe('end')
    exchange.control.pause()
    const [connection] = server.connections.entries
    connection!.socket.end()
    await connection!.closed
    expect(await new Exchange(connections).over).toBe('end')
    expect(server.connections.entries).toHaveLength(2)
  })
})

describe('an exchange that is broken off', () => {
  it('before it is connected is told of nothing', async () => {
    const { server, connections } = await serve(WHOLE)
    const exchange = new Exchange(connections)
    exchange.control.abort()
    await new Exchange(connections).over
    expect(exchange.told).toEqual([])
    expect(server.requests.entries).toHaveLength(1)
  })

  it('before it is answered closes the connection, and is told of nothing', async () => {
    const { server, connections } = await serve(() => exchange.control.abort())
    const exchange = new Exchange(connections)
    const [request] = await server.connections.until(({ length }) => length === 1)
    await request!.closed
    expect(exchange.told).toEqual([])
  })

  it('within the head is told of no body, although it has come', async () => {
    const { server, connections } = await serve(WHOLE)
    const exchange = new Exchange(connections)
    const told = vi.spyOn(exchange, 'onHead').mockImplementation(() => exchange.control.abort())
    const [connection] = await server.connections.until(({ length }) => length === 1)
    await connection!.closed
    expect(told).toHaveBeenCalledOnce()
    expect(exchange.told).toEqual([])
  })

  it('within the body is told of no end', async () => {
    const { server, connections } = await serve(WHOLE)
    const exchange = new Exchange(connections)
    vi.spyOn(exchange, 'onBody').mockImplementation(() => exchange.control.abort())
    const [connection] = await server.connections.until(({ length }) => length === 1)
    await connection!.closed
    expect(exchange.told).toEqual(['head'])
  })

  it('after its end leaves the connection to the next', async () => {
    const { server, connections } = await serve(WHOLE)
    const first = new Exchange(connections)
    await first.over
    const second = new Exchange(connections)
    first.control.abort()
    expect(await second.over).toBe('end')
    second.control.abort()
    expect(await new Exchange(connections).over).toBe('end')
    expect(server.connections.entries).toHaveLength(1)
  })
})

describe('connecting', () => {
  it('to where nobody listens is an error', async () => {
    const exchange = new Exchange(connect('http://127.0.0.1:9/'))
    expect(await exchange.over).toBe('error')
    expect(exchange.error).toMatchObject({ code: 'ECONNREFUSED' })
    expect(exchange.told).toEqual(['error'])
  })

  it('may not take forever: a name that is not resolved', async () => {
    vi.spyOn(dns, 'lookup').mockImplementation(() => {})
    const exchange = new Exchange(connect('http://silent.test/'), { connectTimeoutMs: 50 })
    expect(await exchange.over).toBe('error')
    expect(exchange.error).toBeInstanceOf(ConnectTimeoutError)
  })

  it('may not take forever: a handshake that is not answered', async () => {
    const { server } = await serve(WHOLE)
    const exchange = new Exchange(connect(`https://127.0.0.1:${server.port}/`), { connectTimeoutMs: 50 })
    expect(await exchange.over).toBe('error')
    expect(exchange.error).toBeInstanceOf(ConnectTimeoutError)
    await server.connections.entries[0]!.closed
  })

  it('has its time, and the response another', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { connections } = await serve(({ socket }) => {
      vi.advanceTimersByTime(60_000)
      socket.write(WHOLE)
    })
    expect(await new Exchange(connections, { connectTimeoutMs: 1000 }).over).toBe('end')
  })

  it('goes to an address of IPv6, which stands in brackets', async () => {
    const server = await startByteServer(says(WHOLE), { host: '::1' })
    expect(await new Exchange(connect(`http://[::1]:${server.port}/`)).over).toBe('end')
    expect(server.requests.entries[0]?.head).toContain(`\r\nhost: [::1]:${server.port}\r\n`)
  })

  it.each([
    ['http', false],
    ['https', true],
  ])('goes to the next address of a name when nobody listens at the first, with %s', async (scheme, encrypted) => {
    const server = await startByteServer(says(WHOLE), { tls: encrypted })
    trust()
    resolveTo('::1', '127.0.0.1')
    const connections = connect(`${scheme}://localhost:${server.port}/`)
    const exchange = new Exchange(connections)
    expect(await exchange.over).toBe('end')
    expect(exchange.body).toBe('ok')
    expect(await new Exchange(connections).over).toBe('end')
    expect(server.connections.entries).toHaveLength(1)
  })
})

it('looks up a name once for many connections', async () => {
  const { server } = await serve(({ socket }, position) => {
    if (position === 2) for (const each of server.connections.entries) each.socket.write(WHOLE)
    else if (position > 2) socket.end(WHOLE)
  })
  resolveTo('127.0.0.1')
  const connections = connect(`http://name.test:${server.port}/`)
  await Promise.all([1, 2, 3].map(() => new Exchange(connections).over))
  expect(server.connections.entries).toHaveLength(3)
  expect(dns.lookup).toHaveBeenCalledOnce()
})

it('looks up a name again after a failed connect', async () => {
  const { server } = await serve(WHOLE)
  const connections = connect(`http://name.test:${server.port}/`)
  resolveTo('127.0.0.2')
  expect(await new Exchange(connections).over).toBe('error')
  resolveTo('127.0.0.1')
  expect(await new Exchange(connections).over).toBe('end')
})

/** What NODE_EXTRA_CA_CERTS does when a process starts. */
function trust(): void {
  const create = tls.createSecureContext
  vi.spyOn(tls, 'createSecureContext').mockImplementation((options) => create({ ca: CA, ...options }))
}

/** These are the addresses of every name. */
function resolveTo(...addresses: string[]): void {
  const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
  const lookup = (_: string, __: unknown, done: (error: null, found: unknown) => void) =>
    void setImmediate(done, null, found)
  vi.spyOn(dns, 'lookup').mockImplementation(lookup as unknown as typeof dns.lookup)
}

describe('a connection with TLS', () => {
  it('carries one request after the other, of several megabytes too', async () => {
    trust()
    const chunk = 'x'.repeat(100_000)
    const answer = `${OK}transfer-encoding: chunked\r\n\r\n${`186a0\r\n${chunk}\r\n`.repeat(20)}0\r\n\r\n`
    const server = await startByteServer(says(answer), { tls: true })
    const connections = connect(`https://localhost:${server.port}/`)
    for (const body of ['{}', JSON.stringify('ä'.repeat(1_000_000)), '{}']) {
      const exchange = new Exchange(connections, { body })
      expect(await exchange.over).toBe('end')
      expect(exchange.body === chunk.repeat(20)).toBe(true)
      expect(server.requests.entries.at(-1)!.body === body).toBe(true)
    }
    expect(server.connections.entries).toHaveLength(1)
    expect(server.connections.entries[0]!.socket).toMatchObject({ servername: 'localhost', alpnProtocol: false })
  })

  it('asks for a certificate by its name, and by no address', async () => {
    trust()
    const server = await startByteServer(says(WHOLE), { tls: true })
    const names: unknown[] = []
    for (const host of ['localhost', '127.0.0.1']) {
      expect(await new Exchange(connect(`https://${host}:${server.port}/`)).over).toBe('end')
      names.push((server.connections.entries.at(-1)!.socket as tls.TLSSocket & { servername: unknown }).servername)
    }
    expect(names).toEqual(['localhost', false])
  })

  it.each([
    ['that nobody vouches for', 'localhost', false, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['of another name', '127.0.0.2', true, 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ])('sends nothing to a server with a certificate %s', async (_, host, trusted, code) => {
    if (trusted) trust()
    const sockets: Socket[] = []
    const server = await startByteServer(says(WHOLE), {
      tls: true,
      host: '0.0.0.0',
      onSocket: (socket) => void sockets.push(socket),
    })
    const exchange = new Exchange(connect(`https://${host}:${server.port}/`), { headers: { authorization: 'secret' } })
    expect(await exchange.over).toBe('error')
    expect(exchange.error).toMatchObject({ code })
    expect(exchange.told).toEqual(['error'])
    await once(sockets[0]!, 'close')
    expect(server.connections.entries.map(({ received }) => received).filter((bytes) => bytes > 0)).toEqual([])
    expect(server.requests.entries).toEqual([])
  })

  it('takes up the session of an earlier one, and begins another when that did not work', async () => {
    trust()
    const reused: boolean[] = []
    const server = await startByteServer(
      ({ socket }) => {
        reused.push((socket as tls.TLSSocket).isSessionReused())
        socket.write(`${OK}connection: close\r\ncontent-length: 2\r\n\r\nok`)
      },
      { tls: true, onSocket: (socket, position) => void (position === 2 && socket.destroy()) },
    )
    const connections = connect(`https://localhost:${server.port}/`)
    const ends: string[] = []
    for (let i = 0; i < 5; i++) ends.push(await new Exchange(connections).over)
    expect(ends).toEqual(['end', 'end', 'error', 'end', 'end'])
    expect(reused).toEqual([false, true, false, true])
  })
})

describe('closing all connections', () => {
  it('closes the idle ones at once, and the others when they are', async () => {
    const byPosition: ByteConnection[] = []
    const { server, connections } = await serve((connection, position) => {
      byPosition.push(connection)
      if (position !== 1) connection.socket.write(WHOLE)
    })
    const exchanges = [new Exchange(connections), new Exchange(connections)]
    await Promise.race(exchanges.map(({ over }) => over))
    await server.requests.until(({ length }) => length === 2)
    const [idle, busy] = byPosition
    connections.close()
    await idle!.closed
    busy!.socket.write(WHOLE)
    expect(await Promise.all(exchanges.map(({ over }) => over))).toEqual(['end', 'end'])
    await busy!.closed
    expect(await new Exchange(connections).over).toBe('end')
    await byPosition[2]!.closed
  })
})
