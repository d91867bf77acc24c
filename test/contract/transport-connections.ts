import { describe, expect, it } from 'vitest'
import { ConnectTimeoutError } from '../../providers/transport/transport.ts'
import type { ByteConnection } from '../support/byte-server.ts'
import { Exchange } from '../support/exchange.ts'
import { OK, reset, WHOLE, type TransportStage } from './transport-stage.ts'

/** How every transport uses its connections, one after the other and several at a time. */
export function describeConnections({ serve, proxied }: TransportStage): void {
  describe('a connection', () => {
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

  describe('a reused connection', () => {
    const closes: [how: string, close: (connection: ByteConnection) => void][] = [
      ['is closed', ({ socket }) => void socket.end()],
      ['is reset', ({ socket }) => reset(socket)],
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

  describe('the connection limit', () => {
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
}
