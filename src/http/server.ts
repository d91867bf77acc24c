import { createServer, Server, ServerResponse, type IncomingMessage } from 'node:http'
import {
  constants,
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LastingConfig } from '../config.ts'
import { ConfigError } from '../errors.ts'
import type { Certificate } from './certificate.ts'
import { describeListenFailure } from './listen-failure.ts'

export type Handler = (
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
) => Promise<void> | void

/** TCP keep-alive finds readers whose machine is gone while nothing is sent to them. */
const SOCKETS = { keepAlive: true, keepAliveInitialDelay: 30_000, noDelay: true }

/** How long a request may take to arrive. Node's own limit for HTTP/1.1; it has none for HTTP/2. */
const REQUEST_MS = 300_000

const HTTP2 = {
  allowHTTP1: true,
  settings: {
    // Chromium opens at most this many.
    maxConcurrentStreams: 256,
    // With the default window, a body with images would wait for a window update every 64 KiB.
    initialWindowSize: 1024 * 1024,
  },
  // In MB, for all streams of a connection: each may hold a batch and the data queued before it. Node refuses new
  // streams beyond it, and bounds rapid resets to 33 a second.
  maxSessionMemory: 64,
}

export interface Address {
  readonly host: string
  readonly port: number
  /** The names of these two settings, for messages. */
  readonly settings: { readonly host: string; readonly port: string }
}

export interface ServerOptions {
  address: Address
  limits: Pick<LastingConfig, 'keepAliveMs' | 'maxConnections'>
  /** For HTTPS. */
  certificate: Certificate | undefined
}

/** A server of the gateway: HTTP/1.1, or, with a certificate, HTTP/2 and HTTP/1.1 over TLS. */
export class HttpServer {
  readonly #keepAliveMs: number
  readonly #address: Address
  #handle: Handler
  readonly #server: Server | Http2SecureServer
  readonly #sockets = new Set<Socket>()
  readonly #sessions = new Set<ServerHttp2Session>()
  /** Responses that are neither sent nor abandoned. */
  readonly #responses = new Set<ServerResponse | Http2ServerResponse>()
  #onLastResponse: () => void = () => {}
  readonly #queues = new QueuedResponses()

  constructor(handle: Handler, { address, limits, certificate }: ServerOptions) {
    this.#keepAliveMs = limits.keepAliveMs
    this.#address = address
    this.#handle = handle
    this.#server = certificate ? this.#secure(certificate) : createServer(SOCKETS)
    Object.assign(this.#server, { keepAliveTimeout: limits.keepAliveMs, requestTimeout: REQUEST_MS })
    this.#server.on('request', (request, response) => {
      this.#responses.add(response)
      if (response.socket === null) this.#queues.add(request.socket, response)
      response.on('close', () => {
        this.#responses.delete(response)
        if (this.#responses.size === 0) this.#onLastResponse()
      })
      void this.#handle(request, response)
    })
    const most = limits.maxConnections > 0 ? limits.maxConnections : Infinity
    this.#server.on('connection', (socket: Socket) => {
      // Not Node's own limit: workers would hand the connection on to each other for ever.
      if (this.#sockets.size >= most) {
        socket.destroy()
        return
      }
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }

  /** Handles the requests from now on. */
  use(handle: Handler): void {
    this.#handle = handle
  }

  /** For connections from now on. Has no effect on a server without TLS. */
  renew(certificate: Certificate): void {
    if (!(this.#server instanceof Server)) this.#server.setSecureContext(certificate)
  }

  /** Resolves when all responses that are open now are sent or abandoned. */
  async answered(): Promise<void> {
    await Promise.all([...this.#responses].map((each) => new Promise<void>((resolve) => each.once('close', resolve))))
  }

  /** Listens; resolves to the base URL. @throws ConfigError when the address cannot be listened on */
  async listen(): Promise<string> {
    const { host, port } = this.#address
    const server = this.#server
    await new Promise<void>((resolve, reject) => {
      const refuse = (error: Error) => reject(new ConfigError([describeListenFailure(error, this.#address)]))
      server.once('error', refuse)
      // After an outage all readers reconnect at once; Node's default backlog of 511 would refuse most of them.
      server.listen({ port, host, backlog: 8192 }, () => {
        server.off('error', refuse)
        resolve()
      })
    })
    const address: AddressInfo | string | null = server.address()
    if (address === null || typeof address === 'string') throw new Error('The server has no port')
    const scheme = server instanceof Server ? 'http' : 'https'
    return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${address.port}`
  }

  /** Gives open responses `graceMs` to end, then cuts them. Resolves when no connection is left. */
  async close(graceMs: number): Promise<void> {
    if (!this.#server.listening) return
    // Node considers a connection idle once the end of its response has been written, even if it is not sent yet.
    await this.#untilSent(graceMs)
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    const grace = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy()
    }, graceMs)
    // A connection that becomes idle after its response would be kept alive for another request.
    const sweep = setInterval(() => this.#closeIdle(), 50)
    this.#closeIdle()
    await closed
    clearTimeout(grace)
    clearInterval(sweep)
  }

  async #untilSent(atMostMs: number): Promise<void> {
    if (this.#responses.size === 0) return
    const sent = new Promise<void>((resolve) => (this.#onLastResponse = resolve))
    const limit = new AbortController()
    await Promise.race([sent, sleep(atMostMs, undefined, { signal: limit.signal })])
    limit.abort()
  }

  #closeIdle(): void {
    // Works on both kinds of server; Node's types declare it for one only.
    Server.prototype.closeIdleConnections.call(this.#server)
    for (const session of this.#sessions) session.close()
  }

  #secure(certificate: Certificate): Http2SecureServer {
    const server = createSecureServer({ ...SOCKETS, ...HTTP2, ...certificate })
    server.on('session', (session) => {
      this.#sessions.add(session)
      session.once('close', () => this.#sessions.delete(session))
      session.setLocalWindowSize(HTTP2.settings.initialWindowSize)
      limitTimes(session, this.#keepAliveMs)
    })
    return server
  }
}

/**
 * Pipelined HTTP/1.1 responses that wait for their turn on a connection. When it closes, Node emits `close` only on the
 * first response. Uses one listener per connection, however many responses wait.
 */
class QueuedResponses {
  readonly #waiting = new WeakMap<Socket, Set<ServerResponse | Http2ServerResponse>>()

  add(socket: Socket, response: ServerResponse | Http2ServerResponse): void {
    const waiting = this.#waiting.get(socket) ?? this.#watch(socket)
    waiting.add(response)
    response.on('close', () => waiting.delete(response))
  }

  #watch(socket: Socket): Set<ServerResponse | Http2ServerResponse> {
    const waiting = new Set<ServerResponse | Http2ServerResponse>()
    this.#waiting.set(socket, waiting)
    socket.on('close', () => {
      for (const response of waiting) {
        // Handlers that check the response later must see that it is closed.
        if (response instanceof ServerResponse) response.destroy()
        response.emit('close')
      }
    })
    return waiting
  }
}

/** Idle and request timeouts for HTTP/2; Node has them for HTTP/1.1 only. */
function limitTimes(session: ServerHttp2Session, keepAliveMs: number): void {
  let open = 0
  let idle = setTimeout(() => session.destroy(), keepAliveMs)
  session.once('close', () => clearTimeout(idle))
  session.on('stream', (stream: ServerHttp2Stream) => {
    open += 1
    clearTimeout(idle)
    const late = stream.endAfterHeaders
      ? undefined
      : setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), REQUEST_MS)
    stream.once('end', () => clearTimeout(late))
    stream.once('close', () => {
      clearTimeout(late)
      open -= 1
      if (open === 0 && !session.destroyed) idle = setTimeout(() => session.destroy(), keepAliveMs)
    })
  })
}
