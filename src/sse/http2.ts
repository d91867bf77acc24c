import type { ServerResponse } from 'node:http'
import type { Http2ServerResponse, ServerHttp2Stream } from 'node:http2'

/**
 * What has to be said in other words over HTTP/2, where a response is a stream among others on one connection: to end
 * the connection would end them all.
 */
export type AnyResponse = ServerResponse | Http2ServerResponse

/** https://www.rfc-editor.org/rfc/rfc9113.html#section-7 */
const INTERNAL_ERROR = 2

/** The stream of a response over HTTP/2. */
export function http2Stream(response: AnyResponse): ServerHttp2Stream | undefined {
  return isHttp2(response) ? response.stream : undefined
}

/** Without loading Node's HTTP/2, which most have no use for. */
function isHttp2(response: AnyResponse): response is Http2ServerResponse {
  return 'stream' in response
}

/** Whether the reader has gone, or been cut off: `close` has been emitted or is about to be. */
export function isOver(response: AnyResponse): boolean {
  const stream = http2Stream(response)
  // Node's response over HTTP/2 has no such property of its own.
  if (stream) return stream.destroyed || stream.closed
  // A socket that has broken tells its response a little later.
  return response.destroyed || response.socket?.destroyed === true
}

/** Calls back once when the response is over, at once if it is. */
export function whenOver(response: AnyResponse, callback: () => void): void {
  if (isOver(response)) callback()
  else response.once('close', callback)
}

/** Breaks a response off, now, so that no reader takes what has come for the whole. */
export function cutOff(response: AnyResponse): void {
  const stream = http2Stream(response)
  // To destroy a stream without a reason tells the reader that all was well.
  if (stream) stream.close(INTERNAL_ERROR)
  else response.destroy()
}

/**
 * Drops a stalled reader together with the data that waits for it in the kernel, which a normal close would keep there
 * until the reader closes its connection. The reader can still read what it has received.
 */
export function dropReader(response: AnyResponse): void {
  const { socket } = response
  // Node can reset plain TCP sockets only.
  if (http2Stream(response) || !socket || 'encrypted' in socket) cutOff(response)
  else socket.resetAndDestroy()
}

/** Breaks an event stream off once all writes have been sent. */
export function cutOffAfterWrites(response: AnyResponse): void {
  const stream = http2Stream(response)
  if (!stream) response.socket?.destroySoon()
  // A reset overtakes what waits to be sent, so it waits for a comment, the last in line. An empty write would not do:
  // Node 20 takes it for done at once, and frees the memory of writes that it was gathered with before they are sent.
  else if (!isOver(response)) stream.write(':\n', () => cutOff(response))
}
