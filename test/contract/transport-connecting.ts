import { describe, expect, it } from 'vitest'
import { ConnectTimeoutError } from '../../providers/transport/transport.ts'
import { startByteServer } from '../support/byte-server.ts'
import { Exchange } from '../support/exchange.ts'
import { says, WHOLE, type TransportStage } from './transport-stage.ts'

/** How every transport connects. */
export function describeConnecting({ connect, serve, tls, proxied }: TransportStage): void {
  describe.skipIf(tls || proxied)('connecting', () => {
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
}
