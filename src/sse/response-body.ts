// Frames on their way to the socket, as cheaply as Node allows: each is encoded once for all readers, and is one write.

import type { ServerResponse } from 'node:http'

/** Up to this size a string is written to the socket directly; Node encodes it without an intermediate buffer. */
const STRING_BYTES = 4096

/** Frames to send to any number of sockets. The encoded form is created once and shared. */
export class Payload {
  readonly text: string
  readonly byteLength: number
  #chunk: string | Buffer | undefined
  #data: string | Buffer | undefined

  constructor(text: string) {
    this.text = text
    this.byteLength = Buffer.byteLength(text)
  }

  /** As one HTTP/1.1 chunk, including its size. */
  get chunk(): string | Buffer {
    return (this.#chunk ??= this.#shared(`${this.byteLength.toString(16)}\r\n${this.text}\r\n`))
  }

  /** Without chunk framing, for responses with other framing. */
  get data(): string | Buffer {
    return (this.#data ??= this.#shared(this.text))
  }

  /** Large payloads are buffers: data for full sockets waits in memory, and a thousand sockets can share one buffer. */
  #shared(text: string): string | Buffer {
    return this.byteLength > STRING_BYTES ? Buffer.from(text) : text
  }
}

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
