import { afterEach, describe, expect, it, vi } from 'vitest'
import type { ByteConnection } from '../support/byte-server.ts'
import { Exchange } from '../support/exchange.ts'
import { OK, reset, WHOLE, type TransportStage } from './transport-stage.ts'

/** How long every transport keeps a connection, and for what. */
export function describeConnections({ connect, serve, tls, proxied }: TransportStage): void {
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
      expect(first.told).toEqual(['head', 'body', 'end'])
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
      expect(await new Exchange(transport).over).toBe('end')
      await byPosition[2]!.closed
    })

    it('is one of as many as there are requests at a time', async () => {
      const { server, transport } = await serve(({ socket }, position) => {
        // None is answered before all have come.
        if (position === 2) for (const each of server.connections.entries) each.socket.write(WHOLE)
        if (position > 2) socket.write(WHOLE)
      })
      const ask = () => Promise.all([1, 2, 3].map(() => new Exchange(transport).over))
      expect(await ask()).toEqual(['end', 'end', 'end'])
      expect(await ask()).toEqual(['end', 'end', 'end'])
      expect(server.connections.entries).toHaveLength(3)
    })

    it.each<[what: string, leave: (connection: ByteConnection) => void]>([
      ['the server has closed', ({ socket }) => socket.end()],
      ['the server has reset', ({ socket }) => reset(socket)],
      ['says what nobody asked for', ({ socket }) => socket.write(WHOLE)],
    ])('that %s is no longer used', async (_, leave) => {
      const { server, host, transport } = await serve(WHOLE)
      await new Exchange(transport).over
      const [connection] = server.connections.entries
      leave(connection!)
      await connection!.closed
      // Our side of it has closed when what was sent before has come: one that is made now says so.
      await new Exchange(await connect(`${tls ? 'https' : 'http'}://${host}`)).over
      const next = new Exchange(transport)
      expect(await next.over).toBe('end')
      expect(next.body).toBe('ok')
      expect(server.connections.entries).toHaveLength(3)
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

  describe('an idle connection', () => {
    afterEach(() => void vi.useRealTimers())

    it('is not used again after four seconds, not even before it is known to be closed', async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      const { server, transport } = await serve(WHOLE)
      await new Exchange(transport).over
      vi.advanceTimersByTime(3999)
      await new Exchange(transport).over
      expect(server.connections.entries).toHaveLength(1)
      vi.advanceTimersByTime(4000)
      expect(await new Exchange(transport).over).toBe('end')
      expect(server.connections.entries).toHaveLength(2)
      await server.connections.entries[0]!.closed
    })

    it('is kept for a little less than the server says', async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      const { server, transport } = await serve(`${OK}Keep-Alive: max=9, timeout=60\r\ncontent-length: 0\r\n\r\n`)
      await new Exchange(transport).over
      vi.advanceTimersByTime(58_999)
      await new Exchange(transport).over
      expect(server.connections.entries).toHaveLength(1)
      vi.advanceTimersByTime(59_000)
      await server.connections.entries[0]!.closed
    })

    it('leaves no timer behind when it is closed', async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      const { server, transport } = await serve(WHOLE)
      await new Exchange(transport).over
      expect(vi.getTimerCount()).toBe(1)
      transport.close()
      await server.connections.entries[0]!.closed
      await expect.poll(() => vi.getTimerCount()).toBe(0)
    })

    it('keeps no process alive', async () => {
      const { transport } = await serve(WHOLE)
      const open = () => process.getActiveResourcesInfo().filter((each) => each === 'TCPSocketWrap').length
      await new Exchange(transport).over
      // undici lets go of it a turn later.
      await new Promise((resolve) => setImmediate(resolve))
      const idle = open()
      const next = new Exchange(transport)
      expect(open()).toBe(idle + 1)
      await next.over
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
}
