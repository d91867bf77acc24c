import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { withPeer } from '../../../src/peers.ts'
import type { ConnectionEvents, PooledConnection } from '../connection-pool.ts'
import {
  ConnectTimeoutError,
  isStreamed,
  TruncatedResponseError,
  type ExchangeControl,
  type ExchangeHandler,
  type TransportRequest,
} from '../transport.ts'
import { ResponseParser } from './response-parser.ts'
import { sendStreamed } from './send-streamed.ts'

export interface RequestBytes {
  head: string
  body: TransportRequest['body']
  /** The response has no body, whatever its head says: it responds to HEAD. */
  bodiless: boolean
}

export interface ConnectionOptions extends ConnectionEvents {
  origin: URL
  lookup: LookupFunction
  /** How long connecting may take, TLS included, in milliseconds. */
  connectTimeoutMs: number
  /** TLS session of an earlier connection to this server; shortens the handshake. */
  tlsSession?: Buffer | undefined
  onTlsSession: (session: Buffer) => void
  /** The connection was closed before it was established. */
  onConnectFailed: () => void
}

/**
 * One read buffer for all connections. Node calls back for one read at a time and reads again only after the callback
 * returns. So idle connections hold no buffer, and a read allocates none.
 */
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024)

/** Silence after which the kernel sends TCP keep-alive probes. */
const PROBE_MS = 60_000

const ASCII = /^[ -~\t\r\n]*$/

interface Exchange {
  readonly handler: ExchangeHandler
  readonly response: ResponseParser
  /** The request has been written: further bytes belong to its response. */
  sent: boolean
  /** A part of a streamed body is still to be written. */
  sending: boolean
  /** Set on a reused connection until a byte of the response arrives. Keeps the request in memory. */
  onLost: (() => void) | undefined
}

const NOT_SENT = { sent: false, sending: false }

/** A connection to a server, TCP or TLS, that carries one request after the other. */
export class Connection implements PooledConnection<RequestBytes> {
  readonly #origin: URL
  readonly #socket: Socket
  readonly #onIdle: ConnectionOptions['onIdle']
  readonly #onConnectFailed: ConnectionOptions['onConnectFailed']
  /** Called once connected; undefined after that. */
  #begin: (() => void) | undefined = () => {}
  #exchange: Exchange | undefined

  constructor(options: ConnectionOptions) {
    this.#origin = options.origin
    this.#onIdle = options.onIdle
    this.#onConnectFailed = options.onConnectFailed
    let failure: Error | undefined
    const { socket, connected } = dial(options, (bytes) => this.#read(bytes))
    const timer = setTimeout(
      () => socket.destroy(new ConnectTimeoutError('Connecting took too long')),
      options.connectTimeoutMs,
    )
    socket.once(connected, () => {
      clearTimeout(timer)
      this.#begin?.()
      this.#begin = undefined
    })
    socket.on('end', () => this.#endOfInput())
    socket.on('error', (error) => (failure = error))
    socket.on('close', () => {
      clearTimeout(timer)
      this.#fail(failure ?? new TruncatedResponseError('The connection was closed'))
      options.onClose()
    })
    this.#socket = socket
  }

  get open(): boolean {
    return !this.#socket.destroyed
  }

  begin(request: RequestBytes, handler: ExchangeHandler): ExchangeControl {
    const exchange = this.#start(request, handler)
    this.#begin = () => this.#write(exchange, request)
    return this.#control(exchange)
  }

  reuse(request: RequestBytes, handler: ExchangeHandler, onLost: () => void): ExchangeControl {
    const exchange = this.#start(request, handler, onLost)
    this.#socket.ref()
    // Immediates run after the poll phase, which reads a close or unsolicited bytes (GHSA-35p6-xmwp-9g52).
    setImmediate(() => {
      if (this.#exchange === exchange && this.open) this.#write(exchange, request)
    })
    return this.#control(exchange)
  }

  close(): void {
    this.#socket.destroy()
  }

  #start({ bodiless }: RequestBytes, handler: ExchangeHandler, onLost?: () => void): Exchange {
    return (this.#exchange = { handler, response: new ResponseParser(handler, { bodiless }), ...NOT_SENT, onLost })
  }

  #write(exchange: Exchange, { head, body }: RequestBytes): void {
    exchange.sent = true
    // One string is one write. A head with other characters than ASCII must not be sent as UTF-8.
    if (typeof body === 'string' && ASCII.test(head)) this.#socket.write(head + body)
    else {
      this.#socket.cork()
      this.#socket.write(head, 'latin1')
      if (typeof body === 'string') this.#socket.write(body)
      this.#socket.uncork()
    }
    if (!isStreamed(body)) return
    exchange.sending = true
    const isOver = () => this.#exchange !== exchange
    sendStreamed(this.#socket, body, isOver).then(
      () => (exchange.sending = false),
      (error: unknown) => {
        if (!isOver()) this.#fail(error)
      },
    )
  }

  /** A separate method: closures in the request's scope would keep it in memory until the response has ended. */
  #control(exchange: Exchange): ExchangeControl {
    return {
      abort: () => {
        if (this.#exchange !== exchange) return
        this.#exchange = undefined
        // An aborted connection has not failed to connect.
        this.#begin = undefined
        exchange.response.abandon()
        this.close()
      },
      pause: () => {
        if (this.#exchange === exchange) this.#socket.pause()
      },
      resume: () => {
        if (this.#exchange === exchange) this.#socket.resume()
      },
    }
  }

  #read(bytes: Buffer): void {
    const exchange = this.#exchange
    // Unsolicited bytes (GHSA-35p6-xmwp-9g52).
    if (!exchange?.sent) return this.close()
    exchange.onLost = undefined
    try {
      exchange.response.push(bytes)
      this.#settle(exchange)
    } catch (error) {
      this.#fail(error)
    }
  }

  #endOfInput(): void {
    const exchange = this.#exchange
    try {
      exchange?.response.close()
      if (exchange) this.#settle(exchange)
    } catch (error) {
      this.#fail(error)
    }
    this.close()
  }

  #settle(exchange: Exchange): void {
    const { response, handler } = exchange
    if (!response.over || this.#exchange !== exchange) return
    this.#exchange = undefined
    // After a response that arrives before the request is fully sent, the rest of the request is still in transit.
    const reusable = response.persistent && !exchange.sending && this.#socket.writableLength === 0
    if (reusable) {
      // An idle connection does not keep the process alive, but its input is still read.
      this.#socket.unref()
      if (this.#socket.isPaused()) this.#socket.resume()
      this.#onIdle(response.keepAlive)
    } else {
      this.close()
    }
    handler.onEnd()
  }

  #fail(error: unknown): void {
    if (this.#begin) this.#onConnectFailed()
    const exchange = this.#exchange
    this.#exchange = undefined
    this.close()
    if (exchange?.onLost) exchange.onLost()
    else exchange?.handler.onError(withPeer(error, this.#origin))
  }
}

/** Reads with `onread` instead of Node's streams, which double the cost of a read. */
function dial(
  { origin, lookup, tlsSession, onTlsSession }: ConnectionOptions,
  onRead: (bytes: Buffer) => void,
): { socket: Socket; connected: 'connect' | 'secureConnect' } {
  // Only URLs put an IPv6 address in brackets.
  const host = origin.hostname.replace(/^\[(.*)\]$/, '$1')
  const options = {
    host,
    lookup,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: PROBE_MS,
    onread: {
      buffer: READ_BUFFER,
      callback(length: number) {
        onRead(READ_BUFFER.subarray(0, length))
        return true
      },
    },
  }
  if (origin.protocol === 'http:')
    return { socket: connectTcp({ ...options, port: Number(origin.port || 80) }), connected: 'connect' }
  const socket = connectTls({
    ...options,
    port: Number(origin.port || 443),
    ALPNProtocols: ['http/1.1'],
    // SNI allows host names only, not IP addresses.
    ...(isIP(host) === 0 && { servername: host }),
    ...(tlsSession && { session: tlsSession }),
  })
  socket.on('session', onTlsSession)
  return { socket, connected: 'secureConnect' }
}
