import { describe, expect, it } from 'vitest'
import { Exchange } from '../support/exchange.ts'
import { WHOLE, type TransportStage } from './transport-stage.ts'

async function* give(...parts: string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    await new Promise((resolve) => setImmediate(resolve))
    yield Buffer.from(part)
  }
}

/** How every transport sends a body that arrives piece by piece. */
export function describeUploads({ serve }: TransportStage): void {
  describe('a body that arrives while it is sent', () => {
    it('of a known length has that length', async () => {
      const { server, transport } = await serve(WHOLE)
      const body = { chunks: give('one ', '', 'twö'), length: 8 }
      expect(await new Exchange(transport, { body }).over).toBe('end')
      const [request] = server.requests.entries
      expect(request!.body).toBe('one twö')
      expect(request!.head.toLowerCase()).toContain('\r\ncontent-length: 8')
      expect(request!.head.toLowerCase()).not.toContain('transfer-encoding')
    })

    it('of an unknown length comes in chunks', async () => {
      let body = ''
      const { transport } = await serve(({ socket, requests }) => {
        // What follows the head may look like another request.
        if (requests.length > 1) return
        body = `${requests[0]!.head}\r\n\r\n${requests[0]!.body}`
        const check = () => void (body.endsWith('\r\n0\r\n\r\n') && socket.end(WHOLE))
        socket.on('data', (bytes: Buffer) => {
          body += bytes.toString()
          check()
        })
        check()
      })
      const chunks = give('one ', '', 'two')
      expect(await new Exchange(transport, { body: { chunks, length: undefined } }).over).toBe('end')
      expect(body.toLowerCase()).toContain('\r\ntransfer-encoding: chunked')
      expect(body).toMatch(/\r\n\r\n4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n$/)
    })

    it('gets a new connection, which is reused after it', async () => {
      const { server, transport } = await serve(WHOLE)
      await new Exchange(transport).over
      await new Exchange(transport, { body: { chunks: give('one'), length: 3 } }).over
      await new Exchange(transport).over
      expect(server.connections.entries.map(({ requests }) => requests.length)).toEqual([1, 2])
    })

    it('takes the place of an idle connection when there is no other', async () => {
      const { server, transport } = await serve(WHOLE, { maxConnections: 1 })
      await new Exchange(transport).over
      expect(await new Exchange(transport, { body: { chunks: give('one'), length: 3 } }).over).toBe('end')
      expect(server.connections.entries).toHaveLength(2)
    })

    it.each([2, 4])('that does not have its length of %i fails', async (length) => {
      const { transport } = await serve(() => {})
      const exchange = new Exchange(transport, { body: { chunks: give('one'), length } })
      expect(await exchange.over).toBe('error')
    })

    it('that fails makes the exchange fail', async () => {
      const { server, transport } = await serve(() => {})
      async function* fails(): AsyncGenerator<Uint8Array> {
        yield Buffer.from('one')
        throw new Error('No more.')
      }
      const exchange = new Exchange(transport, { body: { chunks: fails(), length: 10 } })
      expect(await exchange.over).toBe('error')
      await server.connections.entries[0]?.closed
    })

    it('is read no faster than the server reads', async () => {
      const { transport } = await serve(({ socket }) => void socket.pause())
      let given = 0
      async function* endless(): AsyncGenerator<Uint8Array> {
        for (;;) {
          await new Promise((resolve) => setImmediate(resolve))
          given += 64 * 1024
          yield Buffer.alloc(64 * 1024)
        }
      }
      const exchange = new Exchange(transport, { body: { chunks: endless(), length: undefined } })
      let before = -1
      while (before !== given) {
        before = given
        await new Promise((resolve) => setTimeout(resolve, 300))
      }
      expect(given).toBeGreaterThan(0)
      expect(given).toBeLessThan(32 * 1024 * 1024)
      exchange.control.abort()
    })
  })
}
