import { describe, expect, it, vi } from 'vitest'
import { Exchange } from '../support/exchange.ts'
import { WHOLE, type TransportStage } from './transport-stage.ts'

/** What an abort leaves behind, at every point of an exchange. */
export function describeAborts({ serve }: TransportStage): void {
  describe('an exchange that is aborted', () => {
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
      const called = vi.spyOn(exchange, call).mockImplementation(() => exchange.control.abort())
      const [connection] = await server.connections.until(({ length }) => length === 1)
      await connection!.closed
      expect(called).toHaveBeenCalledOnce()
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
      second.control.abort()
      expect(await new Exchange(transport).over).toBe('end')
      expect(server.connections.entries).toHaveLength(1)
    })
  })
}
