import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { onTestFinished } from 'vitest'
import type { PoolOptions } from '../../providers/transport/connection-pool.ts'
import type { Transport } from '../../providers/transport/transport.ts'
import {
  startByteServer,
  type ByteConnection,
  type ByteServer,
  type ByteServerOptions,
} from '../support/byte-server.ts'

export const OK = 'HTTP/1.1 200 OK\r\n'
export const WHOLE = `${OK}content-length: 2\r\n\r\nok`
export const CHUNKED = `${OK}transfer-encoding: chunked\r\n\r\n`

/** TLS has no reset: the connection is closed without the alert that says so. */
export const reset = (socket: Socket) =>
  void (socket instanceof TLSSocket ? socket.destroy() : socket.resetAndDestroy())

export const says = (bytes: string) => (connection: ByteConnection) => void connection.socket.write(bytes, 'latin1')

export interface TransportSubject {
  create: (origin: URL, options?: PoolOptions) => Transport | Promise<Transport>
  /** The servers speak HTTPS, with the certificate of `test/support/tls.ts`. */
  tls?: boolean
  /** A proxy is between: it connects first, and to it. */
  proxied?: boolean
}

/** Servers, and transports of one kind to them. */
export class TransportStage {
  readonly tls: boolean
  readonly proxied: boolean
  readonly #create: TransportSubject['create']

  constructor({ create, tls = false, proxied = false }: TransportSubject) {
    this.#create = create
    this.tls = tls
    this.proxied = proxied
  }

  readonly connect = async (url: string, options?: PoolOptions): Promise<Transport> => {
    const transport = await this.#create(new URL(url), options)
    onTestFinished(() => transport.close())
    return transport
  }

  /** A server that answers each request with this, and a transport to it. */
  readonly serve = async (
    answer: string | ((connection: ByteConnection, position: number) => void),
    options?: PoolOptions & ByteServerOptions,
  ): Promise<{ server: ByteServer; host: string; transport: Transport }> => {
    const { tls } = this
    const server = await startByteServer(typeof answer === 'string' ? says(answer) : answer, { tls, ...options })
    const host = `${tls ? 'localhost' : '127.0.0.1'}:${server.port}`
    return { server, host, transport: await this.connect(`${tls ? 'https' : 'http'}://${host}`, options) }
  }
}
