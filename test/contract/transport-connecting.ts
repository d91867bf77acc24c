import dns from 'node:dns'
import type { TLSSocket } from 'node:tls'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { ConnectTimeoutError } from '../../providers/transport/transport.ts'
import { startByteServer } from '../support/byte-server.ts'
import { Exchange } from '../support/exchange.ts'
import { OK, says, WHOLE, type TransportStage } from './transport-stage.ts'

/** How every transport connects. */
export function describeConnecting({ connect, serve, tls, proxied }: TransportStage): void {
  describe('connecting', () => {
    afterEach(() => void vi.useRealTimers())

    it('has its time, and the response another', async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      const { transport } = await serve(({ socket }) => {
        vi.advanceTimersByTime(60_000)
        socket.write(WHOLE)
      })
      expect(await new Exchange(transport, { connectTimeoutMs: 1000 }).over).toBe('end')
    })

    it.skipIf(proxied)('tries the next address of a name when nobody listens at the first', async () => {
      const server = await startByteServer(says(WHOLE), { tls })
      resolveTo('::1', '127.0.0.1')
      const transport = await connect(`${tls ? 'https' : 'http'}://localhost:${server.port}/`)
      const exchange = new Exchange(transport)
      expect(await exchange.over).toBe('end')
      expect(exchange.body).toBe('ok')
      expect(await new Exchange(transport).over).toBe('end')
      expect(server.connections.entries).toHaveLength(1)
    })

    describe.skipIf(tls || proxied)('with neither TLS nor a proxy', () => {
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

      it('may take no longer than its timeout: a name that is not resolved', async () => {
        const spy = vi.spyOn(dns, 'lookup').mockImplementation(() => {})
        onTestFinished(() => spy.mockRestore())
        const exchange = new Exchange(await connect('http://silent.test/'), { connectTimeoutMs: 50 })
        expect(await exchange.over).toBe('error')
        expect(exchange.error).toBeInstanceOf(ConnectTimeoutError)
      })

      it('looks up a name once for many connections', async () => {
        const { server } = await serve(({ socket }, position) => {
          if (position === 2) for (const each of server.connections.entries) each.socket.write(WHOLE)
          else if (position > 2) socket.end(WHOLE)
        })
        resolveTo('127.0.0.1')
        const transport = await connect(`http://name.test:${server.port}/`)
        await Promise.all([1, 2, 3].map(() => new Exchange(transport).over))
        expect(server.connections.entries).toHaveLength(3)
        expect(dns.lookup).toHaveBeenCalledOnce()
      })

      it('looks up a name again after a failed connect', async () => {
        const { server } = await serve(WHOLE)
        const transport = await connect(`http://name.test:${server.port}/`)
        resolveTo('127.0.0.2')
        expect(await new Exchange(transport).over).toBe('error')
        resolveTo('127.0.0.1')
        expect(await new Exchange(transport).over).toBe('end')
      })

      it('reaches an address of IPv6', async () => {
        const server = await startByteServer(says(WHOLE), { host: '::1' })
        expect(await new Exchange(await connect(`http://[::1]:${server.port}/`)).over).toBe('end')
        expect(server.requests.entries[0]!.head).toContain(`host: [::1]:${server.port}`)
      })
    })
  })

  describe.runIf(tls)('a TLS handshake', () => {
    it('asks for a certificate by its name, and by no address', async () => {
      const { server } = await serve(WHOLE)
      const names: unknown[] = []
      for (const host of ['localhost', '127.0.0.1']) {
        expect(await new Exchange(await connect(`https://${host}:${server.port}/`)).over).toBe('end')
        names.push((server.connections.entries.at(-1)!.socket as TLSSocket & { servername: unknown }).servername)
      }
      expect(names).toEqual(['localhost', false])
    })

    it('with a certificate of another name ends before a request is sent', async () => {
      const closed: Promise<unknown>[] = []
      const { server } = await serve(WHOLE, {
        host: '0.0.0.0',
        onSocket: (socket) => void closed.push(new Promise((resolve) => socket.once('close', resolve))),
      })
      const transport = await connect(`https://127.0.0.2:${server.port}/`)
      const exchange = new Exchange(transport, { headers: { authorization: 'secret' } })
      expect(await exchange.over).toBe('error')
      expect(exchange.error).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
      expect(exchange.told).toEqual(['error'])
      expect(closed).toHaveLength(1)
      await closed[0]
      expect(server.connections.entries.map(({ received }) => received).filter((bytes) => bytes > 0)).toEqual([])
      expect(server.requests.entries).toEqual([])
    })

    it('takes up the session of an earlier one, and begins another when that did not work', async () => {
      const reused: boolean[] = []
      const { transport } = await serve(
        ({ socket }) => {
          reused.push((socket as TLSSocket).isSessionReused())
          socket.write(`${OK}connection: close\r\ncontent-length: 2\r\n\r\nok`)
        },
        { onSocket: (socket, position) => void (position === 2 && socket.destroy()) },
      )
      const ends: string[] = []
      for (let i = 0; i < 5; i++) ends.push(await new Exchange(transport).over)
      expect(ends).toEqual(['end', 'end', 'error', 'end', 'end'])
      expect(reused).toEqual([false, true, false, true])
    })
  })
}

/** These are the addresses of every name, until the test has finished. */
function resolveTo(...addresses: string[]): void {
  const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
  const lookup = (_: string, __: unknown, done: (error: null, found: unknown) => void) =>
    void setImmediate(done, null, found)
  const spy = vi.spyOn(dns, 'lookup').mockImplementation(lookup as unknown as typeof dns.lookup)
  onTestFinished(() => spy.mockRestore())
}
