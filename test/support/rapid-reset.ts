import { once } from 'node:events'
import { connect } from 'node:tls'
import { onTestFinished } from 'vitest'
import { CA } from './tls.ts'

/** https://www.rfc-editor.org/rfc/rfc9113.html#section-6 */
const HEADERS = 1
const RESET = 3
const SETTINGS = 4
const GOAWAY = 7

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const HEADER_BYTES = 9
const END_STREAM_AND_HEADERS = 5
const CANCEL = Buffer.from([0, 0, 0, 8])
/** HPACK: `:method: GET`, `:path: /`, `:scheme: https`, `:authority: x`. */
const GET = Buffer.from([0x82, 0x84, 0x87, 0x01, 0x01, 0x78])

/**
 * Opens streams and resets each at once, as no client of Node's would: it keeps to itself what is reset before it was
 * sent, and does not tell of every way in which a connection can end. Resolves to the code with which the server says
 * goodbye; rejects when it closes the connection without one.
 */
export async function resetRapidly(url: string, streams: number): Promise<number> {
  const socket = connect({ port: Number(new URL(url).port), ca: CA, servername: 'localhost', ALPNProtocols: ['h2'] })
  onTestFinished(() => void socket.destroy())
  await once(socket, 'secureConnect')
  // Whoever has been told to go may be cut off while it still writes.
  socket.on('error', () => {})
  const goodbye = new Promise<number>((resolve, reject) => {
    socket.on('close', () => reject(new Error('The connection was closed without a word')))
    let received = Buffer.alloc(0)
    socket.on('data', (bytes: Buffer) => {
      received = Buffer.concat([received, bytes])
      while (received.length >= HEADER_BYTES) {
        const length = HEADER_BYTES + received.readUIntBE(0, 3)
        if (received.length < length) return
        if (received[3] === GOAWAY) resolve(received.readUInt32BE(HEADER_BYTES + 4))
        received = received.subarray(length)
      }
    })
  })
  socket.write(PREFACE)
  socket.write(frame(SETTINGS, 0, 0))
  for (let stream = 0; stream < streams; stream++) {
    socket.write(frame(HEADERS, END_STREAM_AND_HEADERS, 2 * stream + 1, GET))
    socket.write(frame(RESET, 0, 2 * stream + 1, CANCEL))
  }
  return goodbye
}

function frame(type: number, flags: number, stream: number, payload = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUIntBE(payload.length, 0, 3)
  header.writeUInt8(type, 3)
  header.writeUInt8(flags, 4)
  header.writeUInt32BE(stream, 5)
  return Buffer.concat([header, payload])
}
