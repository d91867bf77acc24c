/** The server to which a connection failed. */
export interface Peer {
  readonly host: string
  readonly port: number
}

/** Kept beside the errors: only a transport can name a peer, so no plugin can put a text of its own into the log. */
const PEERS = new WeakMap<object, Peer>()

/** Notes the server of a failed connection, for the log. The first one stays: it is the nearest to the failure. */
export function withPeer<E>(error: E, { hostname, port, protocol }: URL): E {
  if (typeof error === 'object' && error !== null && !PEERS.has(error)) {
    // Only URLs put an IPv6 address in brackets.
    const host = hostname.replace(/^\[(.*)\]$/, '$1')
    PEERS.set(error, { host, port: Number(port || (protocol === 'http:' ? 80 : 443)) })
  }
  return error
}

export function peerOf(error: object): Peer | undefined {
  return PEERS.get(error)
}
