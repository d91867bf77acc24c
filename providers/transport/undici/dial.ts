import type { Socket } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import type * as undiciModule from 'undici'
import type { buildConnector } from 'undici'
import type { Proxy } from '../proxy.ts'
import { withPeer } from '../../../src/peers.ts'
import { ProxyError } from '../transport.ts'

/** Imported only when a connection needs it: importing undici replaces the dispatcher of Node's `fetch`. */
export type Undici = typeof undiciModule

/** An abort destroys the socket at any time. */
export type DialOptions = Pick<ConnectionOptions, 'lookup' | 'session'> & { signal: AbortSignal }

/** Contents of PEM files. */
export interface Certificates {
  /** Trusted in place of Node's authorities. */
  ca?: Buffer | undefined
  cert?: Buffer | undefined
  key?: Buffer | undefined
}

export interface Route {
  origin: URL
  proxy: Proxy | undefined
  certificates: Certificates
}

/**
 * Connects to an origin, through its proxy if it has one. With a proxy, the socket ends at the proxy for `http:`, and
 * passes through a tunnel for `https:`.
 *
 * @throws ProxyError
 */
export async function dial(
  undici: Undici,
  { origin, proxy, certificates }: Route,
  options: DialOptions,
): Promise<Socket> {
  const { signal, lookup } = options
  signal.throwIfAborted()
  const upstream = { ...options, ...certificates }
  if (!proxy) return connect(undici, origin, upstream)
  const carrier = new AbortController()
  const abort = () => carrier.abort()
  signal.addEventListener('abort', abort)
  try {
    // The proxy receives neither the client certificate nor the upstream's TLS session.
    const socket = await connect(undici, proxy.url, { signal: carrier.signal, lookup, ca: certificates.ca })
    if (origin.protocol === 'http:') return socket
    await openTunnel(undici, socket, { origin, proxy, signal: carrier.signal })
    // From here on, destroying the inner socket destroys the carrier: with TLS in TLS, Node crashes when the carrier
    // goes first.
    signal.removeEventListener('abort', abort)
    // Not awaited here: a failed handshake through the tunnel is not the proxy's failure.
    return connect(undici, origin, upstream, socket)
  } catch (error) {
    throw withPeer(
      error instanceof ProxyError
        ? error
        : new ProxyError(`The proxy ${proxy.name} cannot be reached.`, { cause: error }),
      proxy.url,
    )
  }
}

function connect(
  undici: Undici,
  { protocol, hostname, port }: URL,
  options: DialOptions & Certificates,
  httpSocket?: Socket,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    // Only URLs put an IPv6 address in brackets.
    const host = hostname.replace(/^\[(.*)\]$/, '$1')
    const target = { protocol, hostname: host, host, port, ...(httpSocket && { httpSocket }) }
    // No timeout here: the signal limits the whole connect, tunnel included.
    undici.buildConnector({ ...options, timeout: 0 })(target, (error, socket) => {
      if (error) reject(error)
      else resolve(socket)
    })
  })
}

/** https://www.rfc-editor.org/rfc/rfc9110.html#name-connect */
async function openTunnel(
  undici: Undici,
  socket: Socket,
  { origin, proxy, signal }: { origin: URL; proxy: Proxy; signal: AbortSignal },
): Promise<void> {
  const authority = `${origin.hostname}:${origin.port || 443}`
  const client = new undici.Client(proxy.url.origin, { connect: handOver(socket), headersTimeout: 0 })
  const headers = { host: authority, ...proxy.headers }
  const { statusCode } = await client.connect({ path: authority, headers, signal })
  if (statusCode >= 200 && statusCode < 300) return
  socket.destroy()
  throw refusal(proxy, statusCode)
}

export function refusal(proxy: Proxy, status: number): ProxyError {
  return new ProxyError(`The proxy ${proxy.name} refused to connect to the upstream: it answered ${status}.`)
}

/** A connector that returns this socket once. Later calls fail, so undici cannot open another connection. */
export function handOver(socket: Socket): buildConnector.connector {
  let given = false
  return (_, callback) => {
    const first = !given
    given = true
    // Asynchronous: within its own `connect`, undici would not notice that it can send.
    queueMicrotask(() => (first ? callback(null, socket) : callback(new Error('The connection was closed'), null)))
  }
}
