import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { onTestFinished } from 'vitest'
import { Journal } from './cutting-proxy.ts'
import { TLS } from './tls.ts'

/** A request as it came. */
export interface ByteRequest {
  /** Without the empty line that ends it. */
  head: string
  body: string
}

/** One connection that a client has made. */
export class ByteConnection {
  readonly socket: Socket
  readonly requests: ByteRequest[] = []
  /** Bytes that came, encrypted ones not counted. */
  received = 0
  readonly closed: Promise<void>
  #rest = ''

  constructor(socket: Socket, onRequest: (request: ByteRequest) => void) {
    this.socket = socket
    this.closed = new Promise((resolve) => socket.on('close', () => resolve()))
    // How a client leaves is what tests look at: here it is no fault.
    socket.on('error', () => {})
    socket.on('data', (bytes: Buffer) => {
      this.received += bytes.length
      this.#rest += bytes.toString('latin1')
      const end = this.#rest.indexOf('\r\n\r\n')
      const head = this.#rest.slice(0, end)
      const length = Number(/\r\ncontent-length: (\d+)/.exec(head)?.[1])
      if (end === -1 || this.#rest.length < end + 4 + length) return
      const request = { head, body: Buffer.from(this.#rest.slice(end + 4), 'latin1').toString() }
      this.#rest = ''
      this.requests.push(request)
      onRequest(request)
    })
  }
}

export interface ByteServer {
  port: number
  /** Every connection so far, with TLS when its handshake is done. */
  connections: Journal<ByteConnection>
  /** Every request so far, on whichever connection. */
  requests: Journal<ByteRequest>
}

export interface ByteServerOptions {
  host?: string
  tls?: boolean
  /** Is given each connection before anything has come: what is destroyed here is no connection. */
  onSocket?: (socket: Socket, position: number) => void
}

/** A server of bytes: what it answers is no response unless the test says one. */
export async function startByteServer(
  answer: (connection: ByteConnection, position: number) => void,
  { host = '127.0.0.1', tls = false, onSocket = () => {} }: ByteServerOptions = {},
): Promise<ByteServer> {
  const connections = new Journal<ByteConnection>()
  const requests = new Journal<ByteRequest>()
  const sockets = new Set<Socket>()
  const accept = (socket: Socket) => {
    const connection = new ByteConnection(socket, (request) => {
      requests.add(request)
      answer(connection, requests.entries.length - 1)
    })
    connections.add(connection)
  }
  const encrypted = createTlsServer({ cert: readFileSync(TLS.tlsCert), key: readFileSync(TLS.tlsKey) }, accept)
  // What it writes leaves at once: else Nagle's algorithm may keep it until the client has written.
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    onSocket(socket, sockets.size - 1)
    if (socket.destroyed) return
    if (tls) encrypted.emit('connection', socket)
    else accept(socket)
  })
  server.listen(0, host)
  await once(server, 'listening')
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return { port: (server.address() as AddressInfo).port, connections, requests }
}
