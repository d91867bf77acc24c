import type { Socket } from 'node:net'
import { isStreamed, type StreamedBody, type TransportRequest } from '../transport.ts'

/** https://www.rfc-editor.org/rfc/rfc9112.html#name-chunked-transfer-coding */
export function isChunked(body: TransportRequest['body']): boolean {
  return isStreamed(body) && body.length === undefined
}

/**
 * Writes a body to a socket as it arrives, and waits while the socket is full. Resolves when all of it has been written,
 * or `isOver`.
 *
 * @throws Error of the body; or when it does not have the announced length, after which the connection is unusable
 */
export async function sendStreamed(socket: Socket, body: StreamedBody, isOver: () => boolean): Promise<void> {
  const chunked = isChunked(body)
  let rest = body.length ?? Infinity
  for await (const bytes of body.chunks) {
    if (isOver()) return
    // An empty chunk would end the body.
    if (bytes.length === 0) continue
    rest -= bytes.length
    if (rest < 0) break
    if (!write(socket, bytes, chunked)) await drained(socket)
    if (isOver()) return
  }
  if (chunked) socket.write('0\r\n\r\n')
  else if (rest !== 0) throw new Error('The body of the request does not have the announced length')
}

function write(socket: Socket, bytes: Uint8Array, chunked: boolean): boolean {
  if (!chunked) return socket.write(bytes)
  socket.cork()
  socket.write(`${bytes.length.toString(16)}\r\n`)
  socket.write(bytes)
  const hasRoom = socket.write('\r\n')
  socket.uncork()
  return hasRoom
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const settle = () => {
      socket.off('drain', settle)
      socket.off('close', settle)
      resolve()
    }
    socket.once('drain', settle)
    socket.once('close', settle)
    if (socket.destroyed) settle()
  })
}
