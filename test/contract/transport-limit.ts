import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { ConnectTimeoutError } from '../../providers/transport/transport.ts'
import { Exchange } from '../support/exchange.ts'
import { OK, reset, WHOLE, type TransportStage } from './transport-stage.ts'

/** How requests wait when every transport has as many connections as it may have. */
export function describeLimit({ serve }: TransportStage): void {
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
      expect(late.told).toEqual(['error'])
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

    /** A server whose answers the test sends, and a transport with `maxConnections`. */
    async function hold(maxConnections: number) {
      const { server, transport } = await serve(() => {}, { maxConnections })
      const ask = (body: string) => new Exchange(transport, { body })
      const asked = async (count: number) => {
        const requests = await server.requests.until(({ length }) => length === count)
        return requests.map(({ body }) => body)
      }
      const connection = (position: number) => server.connections.entries[position]!
      return { server, ask, asked, connection }
    }

    it('lets the request that has waited longest go first', async () => {
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
      reset(connection(1).socket)
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
      reset(connection(0).socket)
      expect((await asked(3)).at(-1)).toBe('b')
      connection(1).socket.write(WHOLE)
      expect((await asked(4)).at(-1)).toBe('c')
      connection(1).socket.write(WHOLE)
      expect(await Promise.all([lost.over, waits.over])).toEqual(['end', 'end'])
    })

    it('keeps no timer of a request that was aborted while it waited', async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      onTestFinished(() => void vi.useRealTimers())
      const { ask, asked } = await hold(1)
      ask('a')
      await asked(1)
      const timers = vi.getTimerCount()
      const left = ask('b')
      expect(vi.getTimerCount()).toBe(timers + 1)
      left.control.abort()
      expect(vi.getTimerCount()).toBe(timers)
    })
  })
}
