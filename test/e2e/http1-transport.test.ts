/** What our own HTTP/1.1 client does beyond the contract of every transport, in `test/contract/transport.ts`. */
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Http1Transport } from '../../providers/transport/http1/http1-transport.ts'
import { startByteServer, type ByteConnection, type ByteServerOptions } from '../support/byte-server.ts'
import { Exchange } from '../support/exchange.ts'

const OK = 'HTTP/1.1 200 OK\r\n'
const WHOLE = `${OK}content-length: 2\r\n\r\nok`

/** A server that answers each request with this, and a transport to it. */
async function serve(answer: string | ((connection: ByteConnection) => void), options: ByteServerOptions = {}) {
  const says = typeof answer === 'string' ? ({ socket }: ByteConnection) => void socket.write(answer) : answer
  const server = await startByteServer(says, options)
  const transport = new Http1Transport(
    new URL(options.tls ? `https://localhost:${server.port}` : `http://127.0.0.1:${server.port}`),
  )
  onTestFinished(() => transport.close())
  return { server, transport }
}

describe('a request', () => {
  it('has its own headers, a host and a length, and no others', async () => {
    const { server, transport } = await serve(WHOLE)
    const headers = { 'X-Team': 'blåb', accept: '*/*', Accept: 'text/event-stream' }
    await new Exchange(transport, { path: '/v1/chat?a=b', headers, body: '{"a":"ä"}' }).over
    await new Exchange(transport, { method: 'GET', body: undefined }).over
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
      { head: `GET / HTTP/1.1\r\nhost: 127.0.0.1:${server.port}`, body: '' },
    ])
  })

  it('that is aborted before it is written to a reused connection is not sent', async () => {
    const { server, transport } = await serve(WHOLE)
    await new Exchange(transport).over
    const next = new Exchange(transport)
    next.control.abort()
    await server.connections.entries[0]!.closed
    expect(next.told).toEqual([])
    expect(server.requests.entries).toHaveLength(1)
  })

  it('is not sent to a server with a certificate that nobody vouches for', async () => {
    const closed: Promise<unknown>[] = []
    const { server, transport } = await serve(WHOLE, {
      tls: true,
      onSocket: (socket) => void closed.push(new Promise((resolve) => socket.once('close', resolve))),
    })
    const exchange = new Exchange(transport, { headers: { authorization: 'secret' } })
    expect(await exchange.over).toBe('error')
    expect(exchange.error).toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
    expect(exchange.told).toEqual(['error'])
    expect(closed).toHaveLength(1)
    await closed[0]
    expect(server.connections.entries.map(({ received }) => received).filter((bytes) => bytes > 0)).toEqual([])
    expect(server.requests.entries).toEqual([])
  })
})

describe('a response', () => {
  it.each([
    ['304, with the length of what it is not', 'HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\n'],
    ['100 before it, although nobody expects that', `HTTP/1.1 100 Continue\r\n\r\n${WHOLE}`],
  ])('with %s leaves the connection to the next request', async (_, answer) => {
    const { server, transport } = await serve(answer)
    for (let i = 0; i < 3; i++) expect(await new Exchange(transport).over).toBe('end')
    expect(server.requests.entries).toHaveLength(3)
    expect(server.connections.entries).toHaveLength(1)
  })

  it('without a length has no end in a reset: that is an error', async () => {
    const { transport } = await serve(({ socket }) => {
      socket.write(`${OK}\r\nsome`, () => void exchange.head.then(() => socket.resetAndDestroy()))
    })
    const exchange = new Exchange(transport)
    expect(await exchange.over).toBe('error')
    expect(exchange.error).toMatchObject({ code: 'ECONNRESET' })
  })

  it('that is paused when it ends leaves a connection that is read', async () => {
    // No connection times out.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const { server, transport } = await serve(WHOLE)
    const exchange = new Exchange(transport)
    vi.spyOn(exchange, 'onBody').mockImplementation(() => exchange.control.pause())
    expect(await exchange.over).toBe('end')
    exchange.control.pause()
    const [connection] = server.connections.entries
    connection!.socket.end()
    await connection!.closed
    expect(await new Exchange(transport).over).toBe('end')
    expect(server.connections.entries).toHaveLength(2)
  })
})
