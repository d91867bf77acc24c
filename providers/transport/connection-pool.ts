import { ConnectTimeoutError, type ExchangeControl, type ExchangeHandler } from './transport.ts'

const MAX_CONNECTIONS = 16_384

/**
 * How long an idle connection is kept when the server sends no timeout. Node servers close theirs after five seconds.
 */
const IDLE_MS = 4000
const MAX_IDLE_MS = 600_000
/** Idle connections are closed this long before the server closes them, so that no request meets its close. */
const IDLE_MARGIN_MS = 1000

/** A connection that carries one request after the other. */
export interface PooledConnection<Request> {
  /** As far as is known, neither side has closed it. */
  readonly open: boolean
  /** Sends the first request, once connected. */
  begin(request: Request, handler: ExchangeHandler): ExchangeControl
  /**
   * Sends a request on an idle connection. If the connection fails before the first byte of a response, `onLost` is
   * called instead of `onError`. Pending input is read first: unsolicited bytes close the connection and are never
   * parsed as the response (undici's GHSA-35p6-xmwp-9g52).
   */
  reuse(request: Request, handler: ExchangeHandler, onLost: () => void): ExchangeControl
  close(): void
}

export interface ConnectionEvents {
  /** The connection is idle and can be reused, for as long as the response's `keep-alive` header allows. */
  onIdle: (keepAlive: string | undefined) => void
  onClose: () => void
}

export interface PoolOptions {
  /** Maximum open connections; further requests wait for a free one. */
  maxConnections?: number | undefined
}

interface IdleConnection<Request> {
  readonly connection: PooledConnection<Request>
  readonly timer: NodeJS.Timeout
}

/** The connections to one origin: one per concurrent request. Idle connections are kept for a while. */
export class ConnectionPool<Request> {
  readonly #connect: (connectTimeoutMs: number, events: ConnectionEvents) => PooledConnection<Request>
  readonly #maxConnections: number
  /** Busy and idle ones. */
  #count = 0
  /** A stack: the last used is reused first, so that surplus connections time out. */
  #idle: IdleConnection<Request>[] = []
  /** In order of arrival. While a request waits, no connection is idle and `maxConnections` are open. */
  readonly #queue = new Set<Queued>()
  #closed = false

  constructor(
    connect: (connectTimeoutMs: number, events: ConnectionEvents) => PooledConnection<Request>,
    { maxConnections = MAX_CONNECTIONS }: PoolOptions = {},
  ) {
    this.#connect = connect
    this.#maxConnections = maxConnections
  }

  /** @param once the request cannot be sent again, so it gets a new connection */
  send(request: Request, connectTimeoutMs: number, handler: ExchangeHandler, once = false): ExchangeControl {
    const exchange = new PlacedExchange(handler, once)
    this.#place(exchange, request, connectTimeoutMs)
    return exchange
  }

  /** Closes idle connections now, and the others once they are idle. */
  close(): void {
    this.#closed = true
    for (const { connection } of this.#idle) connection.close()
  }

  #place(exchange: PlacedExchange, request: Request, connectTimeoutMs: number): void {
    const isFull = this.#count >= this.#maxConnections
    const idle = exchange.once && !isFull ? undefined : this.#takeIdle()
    if (idle && exchange.once) {
      idle.close()
      this.#begin(exchange, request, connectTimeoutMs)
    } else if (idle) this.#reuse(idle, exchange, request, connectTimeoutMs)
    else if (!isFull) this.#begin(exchange, request, connectTimeoutMs)
    else this.#enqueue(exchange, request, connectTimeoutMs)
  }

  #takeIdle(): PooledConnection<Request> | undefined {
    for (let idle = this.#idle.pop(); idle; idle = this.#idle.pop()) {
      clearTimeout(idle.timer)
      // A connection that closed in this turn is still listed.
      if (idle.connection.open) return idle.connection
    }
    return undefined
  }

  /**
   * A server may close an idle connection just as a request arrives. If no byte of a response has arrived, the request
   * is sent again, once, on a new connection. Repeating a completion is safe, since it changes no state of the server
   * (https://www.rfc-editor.org/rfc/rfc9110.html#section-9.2.2 and rfc9112.html#section-9.3.1).
   */
  #reuse(
    connection: PooledConnection<Request>,
    exchange: PlacedExchange,
    request: Request,
    connectTimeoutMs: number,
  ): void {
    // Takes a new slot: the lost connection may not have closed yet.
    const again = () => this.#begin(exchange, request, connectTimeoutMs)
    exchange.current = connection.reuse(request, exchange.handler, again)
  }

  #begin(exchange: PlacedExchange, request: Request, connectTimeoutMs: number): void {
    this.#count += 1
    exchange.current = this.#open(connectTimeoutMs).begin(request, exchange.handler)
  }

  #enqueue(exchange: PlacedExchange, request: Request, connectTimeoutMs: number): void {
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
      abort: leave,
      proceed: () => {
        leave()
        this.#place(exchange, request, Math.max(1, connectTimeoutMs - (performance.now() - since)))
      },
    }
    this.#queue.add(queued)
    exchange.current = queued
  }

  #open(connectTimeoutMs: number): PooledConnection<Request> {
    const connection = this.#connect(connectTimeoutMs, {
      onIdle: (keepAlive) => this.#keep(connection, idleTime(keepAlive)),
      onClose: () => this.#forget(connection),
    })
    return connection
  }

  #keep(connection: PooledConnection<Request>, milliseconds: number): void {
    if (this.#closed || milliseconds <= 0) return connection.close()
    this.#idle.push({ connection, timer: setTimeout(() => connection.close(), milliseconds).unref() })
    this.#serveQueue()
  }

  #forget(connection: PooledConnection<Request>): void {
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

/** https://www.rfc-editor.org/rfc/rfc2068.html#section-19.7.1.1 */
function idleTime(keepAlive: string | undefined): number {
  const [, seconds] = /\btimeout=(\d{1,9})/i.exec(keepAlive ?? '') ?? []
  if (seconds === undefined) return IDLE_MS
  return Math.min(MAX_IDLE_MS, Number(seconds) * 1000 - IDLE_MARGIN_MS)
}

/** A request that waits for a connection. */
interface Queued extends ExchangeControl {
  proceed(): void
}

const NOT_READING = { pause: () => {}, resume: () => {} }

/** An exchange that is queued, on a connection, or on its replacement. */
class PlacedExchange implements ExchangeControl {
  readonly handler: ExchangeHandler
  readonly once: boolean
  current: ExchangeControl | undefined

  constructor(handler: ExchangeHandler, once: boolean) {
    this.handler = handler
    this.once = once
  }

  abort(): void {
    this.current?.abort()
  }

  pause(): void {
    this.current?.pause()
  }

  resume(): void {
    this.current?.resume()
  }
}
