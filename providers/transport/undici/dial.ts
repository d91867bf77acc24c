import type { Socket } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import type * as undiciModule from 'undici'
import type { buildConnector } from 'undici'
import type { Proxy } from '../proxy.ts'
import { ProxyError } from '../transport.ts'

/** Imported when a connection needs it only: importing undici replaces the dispatcher of Node's own `fetch`. */
export type Undici = typeof undiciModule

/** The signal destroys the socket at any time. */
export type DialOptions = Pick<ConnectionOptions, 'lookup' | 'session'> & { signal: AbortSignal }

/** PEM files, as they were read. */
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
 * Connects to an origin, through its proxy if it has one. The socket leads to the proxy itself for `http:`, and through
 * a tunnel for `https:`.
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
    // The proxy is shown neither the client certificate nor the upstream's TLS session.
    const socket = await connect(undici, proxy.url, { signal: carrier.signal, lookup, ca: certificates.ca })
    if (origin.protocol === 'http:') return socket
    await openTunnel(undici, socket, { origin, proxy, signal: carrier.signal })
    // From here on, destroying the inner socket destroys the carrier: Node crashes when the carrier of TLS in TLS goes first.
    signal.removeEventListener('abort', abort)
    // Not awaited here: a handshake that fails behind the tunnel is not the proxy's failure.
    return connect(undici, origin, upstream, socket)
  } catch (error) {
    throw error instanceof ProxyError
      ? error
      : new ProxyError(`The proxy ${proxy.name} cannot be reached.`, { cause: error })
  }
}

function connect(
  undici: Undici,
  { protocol, hostname, port }: URL,
  options: DialOptions & Certificates,
  httpSocket?: Socket,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    // Brackets stand around an IPv6 address in a URL only.
    const host = hostname.replace(/^\[(.*)\]$/, '$1')
    const target = { protocol, hostname: host, host, port, ...(httpSocket && { httpSocket }) }
    // Without a timeout of its own: the signal also bounds the tunnel.
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

/** Gives a client this one connection: a second attempt fails, where undici would open another by itself. */
export function handOver(socket: Socket): buildConnector.connector {
  let given = false
  return (_, callback) => {
    const first = !given
    given = true
    // Not within undici's `connect`, where it would not notice that it can send.
    queueMicrotask(() => (first ? callback(null, socket) : callback(new Error('The connection was closed'), null)))
  }
}
