import { validateHeaderName, validateHeaderValue } from 'node:http'
import { AddressCache } from './address-cache.ts'
import { Connection, ConnectTimeoutError, type ExchangeHandler, type Posted, type RequestBytes } from './connection.ts'

const MAX_CONNECTIONS = 16_384

export interface PostRequest {
  headers: Readonly<Record<string, string>>
  body: string
  /** How long connecting may take, including TLS and the wait for a free connection, in milliseconds. */
  connectTimeoutMs: number
}

export interface ConnectionsOptions {
  /** Further requests wait for a free connection. */
  maxConnections?: number | undefined
}

interface IdleConnection {
  readonly connection: Connection
  readonly timer: NodeJS.Timeout
}

/** The connections to one URL: as many as there are requests at a time, kept for a while for those to come. */
export class Connections {
  readonly #url: URL
  readonly #maxConnections: number
  readonly #addresses = new AddressCache()
  /** Busy and idle ones. */
  #count = 0
  /** Last used, first reused, so that surplus connections time out. */
  #idle: IdleConnection[] = []
  /** In order of arrival. While a request waits, no connection is idle and `maxConnections` are open. */
  readonly #queue = new Set<Queued>()
  #tlsSession: Buffer | undefined
  #closed = false

  constructor(url: URL, { maxConnections = MAX_CONNECTIONS }: ConnectionsOptions = {}) {
    this.#url = url
    this.#maxConnections = maxConnections
  }

  /**
   * Posts, and reports the answer to `handler`.
   *
   * @throws TypeError for a header that cannot be sent
   */
  post({ headers, body, connectTimeoutMs }: PostRequest, handler: ExchangeHandler): Posted {
    const exchange = new PostedRequest(handler)
    this.#place(exchange, { head: this.#toHead(headers, body), body }, connectTimeoutMs)
    return exchange
  }

  /** Closes idle connections now, and the others once they are idle. */
  close(): void {
    this.#closed = true
    for (const { connection } of this.#idle) connection.destroy()
  }

  #toHead(headers: PostRequest['headers'], body: string): string {
    const { host, pathname, search } = this.#url
    const fields = new Map([['host', host]])
    for (const [name, value] of Object.entries(headers)) {
      validateHeaderName(name)
      validateHeaderValue(name, value)
      fields.set(name.toLowerCase(), value)
    }
    fields.set('content-length', String(Buffer.byteLength(body)))
    let head = `POST ${pathname}${search} HTTP/1.1\r\n`
    for (const [name, value] of fields) head += `${name}: ${value}\r\n`
    return `${head}\r\n`
  }

  #place(exchange: PostedRequest, request: RequestBytes, connectTimeoutMs: number): void {
    const idle = this.#takeIdle()
    if (idle) this.#reuse(idle, exchange, request, connectTimeoutMs)
    else if (this.#count < this.#maxConnections) this.#connect(exchange, request, connectTimeoutMs)
    else this.#enqueue(exchange, request, connectTimeoutMs)
  }

  #takeIdle(): Connection | undefined {
    for (let idle = this.#idle.pop(); idle; idle = this.#idle.pop()) {
      clearTimeout(idle.timer)
      // A connection that closed in this turn is still listed.
      if (idle.connection.open) return idle.connection
    }
    return undefined
  }

  /**
   * A server may close an idle connection just when a request arrives. If no byte of an answer has come, the request is
   * sent again, once, on a fresh connection: repeating a completion is safe, since it changes no state of the server
   * (https://www.rfc-editor.org/rfc/rfc9110.html#section-9.2.2 and rfc9112.html#section-9.3.1).
   */
  #reuse(connection: Connection, exchange: PostedRequest, request: RequestBytes, connectTimeoutMs: number): void {
    // Takes a new slot: the lost connection may not have closed yet.
    const again = () => this.#connect(exchange, request, connectTimeoutMs)
    exchange.current = connection.reuse(request, exchange.handler, again)
  }

  #connect(exchange: PostedRequest, request: RequestBytes, connectTimeoutMs: number): void {
    this.#count += 1
    exchange.current = this.#open(connectTimeoutMs).begin(request, exchange.handler)
  }

  #enqueue(exchange: PostedRequest, request: RequestBytes, connectTimeoutMs: number): void {
    const since = performance.now()
    const leave = () => {
      clearTimeout(timer)
      this.#queue.delete(queued)
    }
    const timer = setTimeout(() => {
      leave()
      exchange.handler.onError(new ConnectTimeoutError('No connection was free in time'))
    }, connectTimeoutMs)
    const queued: Queued = {
      ...NOT_READING,
      breakOff: leave,
      proceed: () => {
        leave()
        this.#place(exchange, request, Math.max(1, connectTimeoutMs - (performance.now() - since)))
      },
    }
    this.#queue.add(queued)
    exchange.current = queued
  }

  #open(connectTimeoutMs: number): Connection {
    const connection = new Connection({
      url: this.#url,
      lookup: this.#addresses.lookup,
      connectTimeoutMs,
      tlsSession: this.#tlsSession,
      onTlsSession: (session) => (this.#tlsSession = session),
      onIdle: (milliseconds) => this.#keep(connection, milliseconds),
      onConnectFailed: () => {
        this.#addresses.forget()
        // The session may be the cause: some servers that cannot resume it fail instead of starting a new one.
        this.#tlsSession = undefined
      },
      onClose: () => this.#forget(connection),
    })
    return connection
  }

  #keep(connection: Connection, milliseconds: number): void {
    if (this.#closed || milliseconds <= 0) return connection.destroy()
    this.#idle.push({ connection, timer: setTimeout(() => connection.destroy(), milliseconds).unref() })
    this.#serveQueue()
  }

  #forget(connection: Connection): void {
    this.#count -= 1
    const position = this.#idle.findIndex((idle) => idle.connection === connection)
    if (position !== -1) {
      clearTimeout(this.#idle[position]?.timer)
      this.#idle.splice(position, 1)
    }
    if (this.#count < this.#maxConnections) this.#serveQueue()
  }

  #serveQueue(): void {
    const [first] = this.#queue
    first?.proceed()
  }
}

/** A request that waits for a connection. */
interface Queued extends Posted {
  proceed(): void
}

const NOT_READING = { pause: () => {}, resume: () => {} }

/** A posted request: queued, on a connection, or on its replacement. */
class PostedRequest implements Posted {
  readonly handler: ExchangeHandler
  current: Posted | undefined

  constructor(handler: ExchangeHandler) {
    this.handler = handler
  }

  breakOff(): void {
    this.current?.breakOff()
  }

  pause(): void {
    this.current?.pause()
  }

  resume(): void {
    this.current?.resume()
  }
}
