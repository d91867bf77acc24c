import { validateHeaderName, validateHeaderValue } from 'node:http'

/**
 * One transport per upstream origin. Both implementations pass `test/contract/transport.ts`: our HTTP/1.1 client
 * (`http1/`), and undici's (`undici/`) for proxies and certificates.
 */
export interface Transport {
  /**
   * Sends a request and reports the response to `handler`. Does not follow redirects: these would receive the key.
   *
   * @throws TypeError for a path or a header that cannot be sent
   */
  request(request: TransportRequest, handler: ExchangeHandler): ExchangeControl
  /** Closes idle connections now, and the others once they are idle. */
  close(): void
}

export interface TransportRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'DELETE'
  /** Path from the root of the origin, percent-encoded, with the query. */
  path: string
  headers: Readonly<Record<string, string>>
  body?: string | StreamedBody | undefined
  /** How long connecting may take, including TLS, a proxy and the wait for a free connection, in milliseconds. */
  connectTimeoutMs: number
}

/**
 * A body that is sent as it arrives, as fast as the server takes it. It can be sent only once: its request always gets
 * a new connection, since a reused one may fail, and the request with it. An error of `chunks` fails the exchange.
 */
export interface StreamedBody {
  chunks: AsyncIterable<Uint8Array>
  /** In bytes, when known. */
  length: number | undefined
}

export function isStreamed(body: TransportRequest['body']): body is StreamedBody {
  return typeof body === 'object'
}

export interface ResponseHead {
  status: number
  /** Names in lower case; repeated fields are joined with commas. */
  headers: ReadonlyMap<string, string>
}

/** Receives the response, without interim responses (1xx). No method throws. */
export interface ResponseHandler {
  onHead(head: ResponseHead): void
  /** All of the body that one read of the socket brought. The bytes are overwritten as soon as this returns. */
  onBody(bytes: Buffer): void
}

/** Receives one exchange. No method is called after `onEnd`, `onError` or an abort. */
export interface ExchangeHandler extends ResponseHandler {
  onEnd(): void
  /** The response failed, before its head or within it. */
  onError(error: unknown): void
}

/** Controls a running exchange. The methods do nothing once it is over. */
export interface ExchangeControl {
  /** Closes the connection at once. */
  abort(): void
  /** Stops reading the response until `resume`. Bytes that were already read may still be delivered. */
  pause(): void
  resume(): void
}

/** Connecting took longer than allowed. */
export class ConnectTimeoutError extends Error {
  override readonly name = 'ConnectTimeoutError'
}

/** The proxy in front of the upstream cannot be reached, or refuses to connect. The message holds no credentials. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError'
}

/** The response violates HTTP/1.1 or one of our limits. */
export class MalformedResponseError extends Error {
  override readonly name = 'MalformedResponseError'
}

/** The connection was closed within a response. */
export class TruncatedResponseError extends Error {
  override readonly name = 'TruncatedResponseError'
}

/** Maximum bytes of a response's head, interim responses included. */
export const MAX_HEAD_BYTES = 64 * 1024

/** Visible ASCII only: a space or line break in the path would end the request line (request splitting, CWE-113). */
const PATH = /^\/[!-~]*$/

/**
 * The header fields of a request, with lower-case names; `host` is first and `content-length` last. A streamed body of
 * unknown length has none; the transport frames it.
 *
 * @throws TypeError for a path or a header that cannot be sent
 */
export function requestFields({ method, path, headers, body }: TransportRequest, host: string): Map<string, string> {
  if (!PATH.test(path)) throw new TypeError('The path of the request contains characters that must be encoded')
  const fields = new Map([['host', host]])
  for (const [name, value] of Object.entries(headers)) {
    validateHeaderName(name)
    validateHeaderValue(name, value)
    fields.set(name.toLowerCase(), value)
  }
  if (isStreamed(body)) {
    if (body.length !== undefined) fields.set('content-length', String(body.length))
  } else if (body !== undefined) fields.set('content-length', String(Buffer.byteLength(body)))
  // A POST without content sends a length of 0: https://www.rfc-editor.org/rfc/rfc9110.html#section-8.6
  else if (method === 'POST') fields.set('content-length', '0')
  return fields
}
