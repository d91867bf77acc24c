// Frames on their way to the socket, as cheaply as Node allows: each is encoded once for all readers, and is one write.

import type { ServerResponse } from 'node:http'
import { isHttp2, type AnyResponse } from './http2.ts'

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

  /** The payload from this place of the text on; a large one is part of the same bytes. */
  tail(at: number): Payload {
    return new Tail(this, this.text.slice(at))
  }

  /** The payload whose bytes these are. */
  get source(): Payload {
    return this
  }

  /** Writes it as one HTTP/1.1 chunk; returns false when the socket is full. */
  writeChunk(socket: Socket): boolean {
    return socket.write(this.chunk)
  }

  /** Large payloads are buffers: data for full sockets waits in memory, and a thousand sockets can share one buffer. */
  #shared(text: string): string | Buffer {
    return this.byteLength > STRING_BYTES ? Buffer.from(text) : text
  }
}

const CHUNK_END = '\r\n'

class Tail extends Payload {
  readonly #whole: Payload

  constructor(whole: Payload, text: string) {
    super(text)
    this.#whole = whole
  }

  override get source(): Payload {
    return this.#whole.source
  }

  override get data(): string | Buffer {
    const { data } = this.#whole
    return typeof data === 'string' ? this.text : data.subarray(data.length - this.byteLength)
  }

  override writeChunk(socket: Socket): boolean {
    const { chunk } = this.#whole
    if (typeof chunk === 'string') return super.writeChunk(socket)
    socket.write(this.byteLength.toString(16) + CHUNK_END)
    return socket.write(chunk.subarray(chunk.length - this.byteLength - CHUNK_END.length))
  }
}

/** Writes to the body of one response; returns false when the socket is full, until `onDrain`. */
export type WriteBody = (payload: Payload) => boolean

/**
 * Sends what is written to an HTTP/1.1 response until the end of this turn's callback with one system call, which costs
 * as much as the rest of a short write: the headers with the first frames, and the last frames with the end.
 */
export function joinWrites(response: AnyResponse): void {
  // Over HTTP/2, frames are joined anyway.
  if (isHttp2(response)) return
  const { socket } = response
  if (!socket || socket.writableCorked > 0) return
  socket.cork()
  process.nextTick(uncork, socket)
}

type Socket = NonNullable<ServerResponse['socket']>

function uncork(socket: Socket): void {
  socket.uncork()
}

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
  response.on('close', () => socket.off('drain', onDrain))
  return (payload) => payload.writeChunk(socket)
}
