import { AddressCache } from '../address-cache.ts'
import { ConnectionPool, type PoolOptions } from '../connection-pool.ts'
import {
  isStreamed,
  requestFields,
  type ExchangeControl,
  type ExchangeHandler,
  type Transport,
  type TransportRequest,
} from '../transport.ts'
import { Connection, type RequestBytes } from './connection.ts'
import { isChunked } from './send-streamed.ts'

/**
 * Our HTTP/1.1 client. All tokens pass through it, except those of providers with a proxy or their own certificates.
 */
export class Http1Transport implements Transport {
  readonly #origin: URL
  readonly #addresses = new AddressCache()
  readonly #pool: ConnectionPool<RequestBytes>
  #tlsSession: Buffer | undefined

  /** @param origin its path is ignored */
  constructor(origin: URL, options: PoolOptions = {}) {
    this.#origin = origin
    this.#pool = new ConnectionPool(
      (connectTimeoutMs, events) =>
        new Connection({
          ...events,
          origin,
          lookup: this.#addresses.lookup,
          connectTimeoutMs,
          tlsSession: this.#tlsSession,
          onTlsSession: (session) => (this.#tlsSession = session),
          onConnectFailed: () => {
            this.#addresses.forget()
            // The TLS session may be the cause: some servers fail instead of starting a new session.
            this.#tlsSession = undefined
          },
        }),
      options,
    )
  }

  request(request: TransportRequest, handler: ExchangeHandler): ExchangeControl {
    const { method, body, connectTimeoutMs } = request
    const bytes = { head: this.#toHead(request), body, bodiless: method === 'HEAD' }
    return this.#pool.send(bytes, connectTimeoutMs, handler, isStreamed(body))
  }

  close(): void {
    this.#pool.close()
  }

  #toHead(request: TransportRequest): string {
    let head = `${request.method} ${request.path} HTTP/1.1\r\n`
    for (const [name, value] of requestFields(request, this.#origin.host)) head += `${name}: ${value}\r\n`
    if (isChunked(request.body)) head += 'transfer-encoding: chunked\r\n'
    return `${head}\r\n`
  }
}
