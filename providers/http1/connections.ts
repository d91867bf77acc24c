import { validateHeaderName, validateHeaderValue } from 'node:http'
import { AddressCache } from './address-cache.ts'
import { Connection, ConnectTimeoutError, type ExchangeHandler, type Posted, type RequestBytes } from './connection.ts'

const MAX_CONNECTIONS = 1024

export interface PostRequest {
  headers: Readonly<Record<string, string>>
  body: string
  /** How long connecting may take, TLS and waiting for one of the connections included, in milliseconds. */
  connectTimeoutMs: number
}

export interface ConnectionsOptions {
  /** Requests beyond that wait for one that is free. */
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
  /** How many there are, busy and idle. */
  #count = 0
  /** The one that was used last is used next, so that those too many grow old. */
  #idle: IdleConnection[] = []
  /** In the order in which they came. While one waits, no connection is idle and as many as may be are open. */
  readonly #queue = new Set<Queued>()
  #tlsSession: Buffer | undefined
  #closed = false

  constructor(url: URL, { maxConnections = MAX_CONNECTIONS }: ConnectionsOptions = {}) {
    this.#url = url
    this.#maxConnections = maxConnections
  }

  /**
   * Posts, and tells `handler` of the answer.
   *
   * @throws TypeError for a header that cannot be sent
   */
  post({ headers, body, connectTimeoutMs }: PostRequest, handler: ExchangeHandler): Posted {
    const exchange = new MovingExchange(handler)
    this.#place(exchange, { head: this.#toHead(headers, body), body }, connectTimeoutMs)
    return exchange
  }

  /** Closes those that are idle, and the others when they are. */
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

  #place(exchange: MovingExchange, request: RequestBytes, connectTimeoutMs: number): void {
    const idle = this.#takeIdle()
    if (idle) this.#reuse(idle, exchange, request, connectTimeoutMs)
    else if (this.#count < this.#maxConnections) this.#connect(exchange, request, connectTimeoutMs)
    else this.#enqueue(exchange, request, connectTimeoutMs)
  }

  #takeIdle(): Connection | undefined {
    for (let idle = this.#idle.pop(); idle; idle = this.#idle.pop()) {
      clearTimeout(idle.timer)
      // One that was closed in this turn of the event loop is still here.
      if (idle.connection.open) return idle.connection
    }
    return undefined
  }

  /**
   * A server may close a connection that is idle just when a request comes. Without a byte of an answer the request is
   * sent again, once, on a fresh one: a completion may be asked for twice, since it changes nothing that the server
   * keeps (https://www.rfc-editor.org/rfc/rfc9110.html#section-9.2.2 and rfc9112.html#section-9.3.1).
   */
  #reuse(connection: Connection, exchange: MovingExchange, request: RequestBytes, connectTimeoutMs: number): void {
    // The place of the one that was lost is taken, though it may be a moment until that has closed.
    const again = () => this.#connect(exchange, request, connectTimeoutMs)
    exchange.place = connection.reuse(request, exchange.handler, again)
  }

  #connect(exchange: MovingExchange, request: RequestBytes, connectTimeoutMs: number): void {
    this.#count += 1
    exchange.place = this.#open(connectTimeoutMs).begin(request, exchange.handler)
  }

  #enqueue(exchange: MovingExchange, request: RequestBytes, connectTimeoutMs: number): void {
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
    exchange.place = queued
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
        // The session may be why: a server that cannot resume one should begin another, but not all do.
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

/** A request, wherever it is: in the queue, on a connection, or on the one after it. */
class MovingExchange implements Posted {
  readonly handler: ExchangeHandler
  place: Posted | undefined

  constructor(handler: ExchangeHandler) {
    this.handler = handler
  }

  breakOff(): void {
    this.place?.breakOff()
  }

  pause(): void {
    this.place?.pause()
  }

  resume(): void {
    this.place?.resume()
  }
}
