import { expect, it, onTestFinished, vi } from 'vitest'
import { Http1Transport } from '../../providers/transport/http1/http1-transport.ts'
import { createTransport } from '../../providers/transport/create-transport.ts'
import { startByteServer } from '../support/byte-server.ts'
import { Exchange } from '../support/exchange.ts'

/** Where undici keeps the dispatcher of Node's own `fetch`. */
const DISPATCHER = Symbol.for('undici.globalDispatcher.1')

it('undici is not imported before a request goes through it', async () => {
  for (const name of ['http_proxy', 'HTTP_PROXY', 'no_proxy', 'NO_PROXY']) vi.stubEnv(name, '')
  onTestFinished(() => void vi.unstubAllEnvs())
  const { port } = await startByteServer(({ socket }) => void socket.write('HTTP/1.1 204 No Content\r\n\r\n'))
  const origin = new URL(`http://127.0.0.1:${port}`)
  const { transport: plain } = createTransport('providers.x', origin, {})
  const { transport: proxied } = createTransport('providers.x', origin, { proxy: origin.href })
  onTestFinished(() => [plain, proxied].forEach((each) => each.close()))
  expect(plain).toBeInstanceOf(Http1Transport)
  expect(await new Exchange(plain).over).toBe('end')
  expect(DISPATCHER in globalThis).toBe(false)
  expect(await new Exchange(proxied).over).toBe('end')
  expect(DISPATCHER in globalThis).toBe(true)
})
