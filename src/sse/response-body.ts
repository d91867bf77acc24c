import type { ServerResponse } from 'node:http'
import type { Payload } from './payload.ts'

/** Writes to the body of one response; returns false when the socket is full, until `onDrain`. */
export type WriteBody = (payload: Payload) => boolean

/**
 * Sends the headers and opens the body, as cheaply as Node allows.
 *
 * `response.write` sends a chunk as four pieces (size, line break, data, line break) that are corked, queued and joined
 * again, which is a good part of the cost of relaying a token. Here a chunk is one piece, written directly to the
 * socket. That is safe because nothing else is written there: the headers are sent, and the response itself writes only
 * the last chunk, in `end`, after ours.
 *
 * A response that is not chunked HTTP/1.1, or not yet the first in line on its connection, is written as usual.
 */
export function openBody(response: ServerResponse, onDrain: () => void): WriteBody {
  const { socket } = response
  const isFirst = socket !== null && response.writableLength === 0
  response.flushHeaders()
  if (!isFirst || !response.chunkedEncoding) {
    response.on('drain', onDrain)
    return (payload) => response.write(payload.data)
  }
  socket.on('drain', onDrain)
  response.once('close', () => socket.off('drain', onDrain))
  return (payload) => socket.write(payload.chunk)
}
