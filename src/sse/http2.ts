import type { ServerResponse } from 'node:http'
import type { Http2ServerResponse, ServerHttp2Stream } from 'node:http2'

/**
 * Functions that differ over HTTP/2, where a response is one of several streams on a connection: closing the connection
 * would end them all.
 */
export type AnyResponse = ServerResponse | Http2ServerResponse

/** https://www.rfc-editor.org/rfc/rfc9113.html#section-7 */
const INTERNAL_ERROR = 2

/** The stream of a response over HTTP/2. */
export function http2Stream(response: AnyResponse): ServerHttp2Stream | undefined {
  return isHttp2(response) ? response.stream : undefined
}

/** Does not load Node's HTTP/2, which most users do not need. */
export function isHttp2(response: AnyResponse): response is Http2ServerResponse {
  return 'stream' in response
}

/** Whether the connection to the reader is closed: `close` has been emitted or is about to be. */
export function isOver(response: AnyResponse): boolean {
  const stream = http2Stream(response)
  // Node's HTTP/2 response has no such properties.
  if (stream) return stream.destroyed || stream.closed
  // A broken socket notifies its response slightly later.
  return response.destroyed || response.socket?.destroyed === true
}

/** Calls back once when the response is over, at once if it is. */
export function whenOver(response: AnyResponse, callback: () => void): void {
  if (isOver(response)) callback()
  else response.once('close', callback)
}

/** Breaks a response off immediately, so that no reader takes it for complete. */
export function cutOff(response: AnyResponse): void {
  const stream = http2Stream(response)
  // Destroying a stream without an error code would report success to the reader.
  if (stream) stream.close(INTERNAL_ERROR)
  else response.destroy()
}

/**
 * Drops a stalled reader and its data queued in the kernel. A normal close would keep that data until the reader closes
 * its connection. The reader can still read data it has received.
 */
export function dropReader(response: AnyResponse): void {
  const { socket } = response
  // Node can reset only plain TCP sockets.
  if (http2Stream(response) || !socket || 'encrypted' in socket) cutOff(response)
  else socket.resetAndDestroy()
}

/** Breaks an event stream off once all writes have been sent. */
export function cutOffAfterWrites(response: AnyResponse): void {
  const stream = http2Stream(response)
  if (!stream) response.socket?.destroySoon()
  // A reset overtakes queued data, so it waits for a comment, the last in the queue. An empty write does not work: Node
  // 20 completes it at once, and frees the memory of writes batched with it before they are sent.
  else if (!isOver(response)) stream.write(':\n', () => cutOff(response))
}

/** Closes the connection gracefully: no further requests; those in flight complete. */
export function closeAfterResponse(response: AnyResponse): void {
  const stream = http2Stream(response)
  if (stream) stream.session?.close()
  else response.setHeader('Connection', 'close')
}

/** Refuses the rest of the request body. Call before the response is sent; takes effect after it. */
export function refuseBody(response: AnyResponse): void {
  const stream = http2Stream(response)
  // Node delays a reset that comes while the end is being written until more of the body is read.
  if (stream) stream.once('finish', () => setImmediate(() => stream.close()))
  else response.setHeader('Connection', 'close')
}
