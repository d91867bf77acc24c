import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
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
import { dial, refusal, type Route, type Undici } from './dial.ts'
import { UndiciConnection } from './undici-connection.ts'

/**
 * The transport for a proxy, a custom certificate authority or a client certificate: undici's parser on sockets that
 * `dial` opens. Slower than our own client, which supports none of these.
 */
export class UndiciTransport implements Transport {
  readonly #route: Route
  readonly #addresses = new AddressCache()
  readonly #pool: ConnectionPool<Dispatcher.DispatchOptions>
  #undici: Promise<Undici> | undefined
  #tlsSession: Buffer | undefined

  constructor(route: Route, options: PoolOptions = {}) {
    this.#route = route
    this.#pool = new ConnectionPool(
      (connectTimeoutMs, events) =>
        new UndiciConnection({
          ...events,
          origin: route.origin,
          undici: (this.#undici ??= import('undici')),
          dial: (undici, signal) => this.#dial(undici, signal),
          connectTimeoutMs,
          onConnectFailed: () => {
            this.#addresses.forget()
            this.#tlsSession = undefined
          },
          refuse: (status) => (status === 407 && route.proxy ? refusal(route.proxy, status) : undefined),
        }),
      options,
    )
  }

  request(request: TransportRequest, handler: ExchangeHandler): ExchangeControl {
    const { method, path, body, connectTimeoutMs } = request
    const { origin, proxy } = this.#route
    const headers = Object.fromEntries(requestFields(request, origin.host))
    // An `http:` proxy takes the whole URL and its own headers:
    // https://www.rfc-editor.org/rfc/rfc9112.html#name-absolute-form
    const content = isStreamed(body) ? Readable.from(body.chunks, { objectMode: false }) : (body ?? null)
    const forwarded = proxy && origin.protocol === 'http:'
    const sent = forwarded
      ? { method, path: `${origin.origin}${path}`, headers: { ...headers, ...proxy.headers }, body: content }
      : { method, path, headers, body: content }
    return this.#pool.send(sent, connectTimeoutMs, handler, isStreamed(body))
  }

  close(): void {
    this.#pool.close()
  }

  async #dial(undici: Undici, signal: AbortSignal) {
    const socket = await dial(undici, this.#route, {
      signal,
      lookup: this.#addresses.lookup,
      ...(this.#tlsSession && { session: this.#tlsSession }),
    })
    return socket.on('session', (session: Buffer) => (this.#tlsSession = session))
  }
}
