import type { Socket } from 'node:net'
import type { Client, Dispatcher } from 'undici'
import { withPeer } from '../../../src/peers.ts'
import type { ConnectionEvents, PooledConnection } from '../connection-pool.ts'
import {
  ConnectTimeoutError,
  MalformedResponseError,
  MAX_HEAD_BYTES,
  TruncatedResponseError,
  type ExchangeControl,
  type ExchangeHandler,
} from '../transport.ts'
import { handOver, type Undici } from './dial.ts'

export interface UndiciConnectionOptions extends ConnectionEvents {
  origin: URL
  undici: Promise<Undici>
  dial: (undici: Undici, signal: AbortSignal) => Promise<Socket>
  connectTimeoutMs: number
  onConnectFailed: () => void
  /** Returns the error for a response status that means failure. */
  refuse: (status: number) => Error | undefined
}

interface Exchange {
  readonly handler: ExchangeHandler
  /** Pauses the response. Undefined until undici sends the request. */
  controller: Dispatcher.DispatchController | undefined
  /** Bytes that had been read from the connection when the request was sent. */
  readBefore: number
  answered: boolean
  keepAlive: string | undefined
  /** Set on a reused connection. */
  readonly onLost: (() => void) | undefined
}

interface Link {
  readonly client: Client
  readonly socket: Socket
}

const CLIENT = {
  maxHeaderSize: MAX_HEAD_BYTES,
  // No timeouts: the attempt has its own, and the pool closes idle connections.
  headersTimeout: 0,
  bodyTimeout: 0,
  keepAliveTimeout: 600_000,
  keepAliveMaxTimeout: 600_000,
}

/** One undici client on one socket, which never reconnects. */
export class UndiciConnection implements PooledConnection<Dispatcher.DispatchOptions> {
  readonly #options: UndiciConnectionOptions
  /** Aborted to destroy the socket or to stop dialling. */
  readonly #life = new AbortController()
  #link: Link | undefined
  #destroyed = false
  /** Sends the first request; undefined once connected. */
  #begin: (() => void) | undefined
  #exchange: Exchange | undefined

  constructor(options: UndiciConnectionOptions) {
    this.#options = options
    const timer = setTimeout(
      () => this.#life.abort(new ConnectTimeoutError('Connecting took too long')),
      options.connectTimeoutMs,
    )
    void this.#connect().finally(() => clearTimeout(timer))
  }

  get open(): boolean {
    return !this.#destroyed && this.#link?.socket.destroyed === false
  }

  begin(request: Dispatcher.DispatchOptions, handler: ExchangeHandler): ExchangeControl {
    const exchange = this.#start(handler)
    this.#begin = () => this.#dispatch(exchange, request)
    return this.#control(exchange)
  }

  /** undici itself reads pending input before it sends (GHSA-35p6-xmwp-9g52). */
  reuse(request: Dispatcher.DispatchOptions, handler: ExchangeHandler, onLost: () => void): ExchangeControl {
    const exchange = this.#start(handler, onLost)
    this.#dispatch(exchange, request)
    return this.#control(exchange)
  }

  close(): void {
    this.#destroyed = true
    // Asynchronous: Node crashes when a TLS-in-TLS socket is destroyed while it delivers data.
    setImmediate(() => this.#life.abort())
  }

  async #connect(): Promise<void> {
    const { undici: loading, dial, origin, onClose, onConnectFailed } = this.#options
    try {
      const undici = await loading
      const socket = await dial(undici, this.#life.signal)
      if (socket.destroyed) throw new TruncatedResponseError('The connection was closed')
      const client = new undici.Client(origin.origin, { ...CLIENT, connect: handOver(socket) })
      // Deferred: undici listens after us, and its error is more specific.
      socket.on('close', () => queueMicrotask(() => this.#closed()))
      this.#link = { socket, client }
      this.#begin?.()
      this.#begin = undefined
    } catch (error) {
      if (this.#exchange) onConnectFailed()
      this.#fail(this.#life.signal.aborted ? this.#life.signal.reason : error)
      onClose()
    }
  }

  #closed(): void {
    this.#fail(new TruncatedResponseError('The connection was closed'))
    this.#options.onClose()
  }

  #start(handler: ExchangeHandler, onLost?: () => void): Exchange {
    return (this.#exchange = {
      handler,
      controller: undefined,
      readBefore: 0,
      answered: false,
      keepAlive: undefined,
      onLost,
    })
  }

  #control(exchange: Exchange): ExchangeControl {
    return {
      abort: () => {
        if (this.#exchange !== exchange) return
        this.#exchange = undefined
        this.#begin = undefined
        this.close()
      },
      pause: () => exchange.controller?.pause(),
      resume: () => exchange.controller?.resume(),
    }
  }

  #dispatch(exchange: Exchange, request: Dispatcher.DispatchOptions): void {
    const { handler } = exchange
    const current = () => this.#exchange === exchange
    this.#link?.client.dispatch(request, {
      onRequestStart: (controller) => {
        exchange.controller = controller
        exchange.readBefore = this.#bytesRead
      },
      onResponseStart: (_, status, headers) => {
        if (!current()) return
        const failure = status < 200 ? this.#checkInterim(exchange) : this.#options.refuse(status)
        if (failure) return this.#fail(failure)
        if (status < 200) return
        const head = { status, headers: toHeaders(headers) }
        exchange.answered = true
        exchange.keepAlive = head.headers.get('keep-alive')
        handler.onHead(head)
      },
      onResponseData: (_, bytes) => {
        if (current()) handler.onBody(bytes)
      },
      // Deferred: right after this call, undici closes a connection that cannot be reused.
      onResponseEnd: () => queueMicrotask(() => this.#settle(exchange)),
      onResponseError: (_, error) => {
        if (current()) this.#fail(error)
      },
    })
  }

  /** Limits all interim responses together; undici limits each of them only. */
  #checkInterim({ readBefore }: Exchange): Error | undefined {
    if (this.#bytesRead - readBefore <= MAX_HEAD_BYTES) return undefined
    return new MalformedResponseError('The head of the response is too long')
  }

  get #bytesRead(): number {
    return this.#link?.socket.bytesRead ?? 0
  }

  #settle(exchange: Exchange): void {
    if (this.#exchange !== exchange) return
    this.#exchange = undefined
    // After a response that arrives before the request is fully sent, the rest of the request is still in transit.
    if (this.open && this.#link?.socket.writableLength === 0) this.#options.onIdle(exchange.keepAlive)
    else this.close()
    exchange.handler.onEnd()
  }

  #fail(error: unknown): void {
    const exchange = this.#exchange
    this.#exchange = undefined
    this.close()
    if (!exchange) return
    const { onLost, controller, readBefore, answered, handler } = exchange
    const unanswered = !controller || this.#bytesRead === readBefore
    if (onLost && unanswered) onLost()
    else handler.onError(withPeer(toTransportError(error, answered), this.#options.origin))
  }
}

function toHeaders(fields: Readonly<Record<string, string | string[] | undefined>>): Map<string, string> {
  const headers = new Map<string, string>()
  for (const [name, value] of Object.entries(fields))
    if (value !== undefined) headers.set(name, typeof value === 'string' ? value : value.join(', '))
  return headers
}

/** Converts undici's errors to the transport's own. @param answered whether the head of the response was complete */
function toTransportError(error: unknown, answered: boolean): unknown {
  if (!(error instanceof Error)) return error
  const code = 'code' in error ? error.code : undefined
  // undici reports any fault after a `content-length` field as a wrong length, even within the head.
  const wrongLength = code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH'
  if ((wrongLength && answered) || /\bInvalid EOF state\b/.test(error.message))
    return new TruncatedResponseError('The connection was closed within the response')
  // The error is not set as the cause: it contains a part of the response, which must not be logged.
  if (wrongLength || error.name === 'HTTPParserError') return new MalformedResponseError(error.message)
  if (code === 'UND_ERR_HEADERS_OVERFLOW')
    return new MalformedResponseError('The head of the response is too long', { cause: error })
  if (code !== 'UND_ERR_SOCKET') return error
  // An unexpected interim response: 100 or 101.
  if (/^bad (response|upgrade)$/.test(error.message))
    return new MalformedResponseError('The server sent a response that was not asked for', { cause: error })
  return new TruncatedResponseError('The connection was closed', { cause: error })
}
