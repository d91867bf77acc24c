import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

/** What a client makes of the bytes that a server answers with. */
export interface Reading {
  /** Undefined when the response was refused before it was told of. */
  head?: { status: number; headers: [name: string, value: string][] }
  /** As Latin-1. */
  body: string
  /** Why it is no response, or not all of one. */
  refused?: string
}

/** Node's own client: reads the answer of a server that sends these bytes, over a socket, and closes. */
export async function startNodeClient(): Promise<(bytes: Buffer) => Promise<Reading>> {
  let answer: Buffer = Buffer.alloc(0)
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end(answer))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  return (bytes) =>
    new Promise((resolve) => {
      answer = bytes
      const reading: Reading = { body: '' }
      let response: IncomingMessage | undefined
      const refuse = (error: Error & { reason?: string }) => {
        const why = error.reason ?? error.message
        resolve({ ...reading, refused: response?.complete ? `what follows the response: ${why}` : why })
      }
      const sent = request({ host: '127.0.0.1', port, method: 'POST', agent: false })
      sent.on('response', (incoming) => {
        response = incoming
        reading.head = { status: incoming.statusCode!, headers: headersOf(incoming) }
        incoming.on('data', (piece: Buffer) => (reading.body += piece.toString('latin1')))
        incoming.on('error', refuse)
        incoming.on('end', () => resolve(reading))
      })
      sent.on('error', refuse)
      sent.end()
    })
}

/** As they came: what Node makes of them leaves some out. */
function headersOf({ rawHeaders }: IncomingMessage): [string, string][] {
  const headers = new Map<string, string>()
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    const known = headers.get(name)
    headers.set(name, known === undefined ? rawHeaders[i + 1]! : `${known}, ${rawHeaders[i + 1]!}`)
  }
  return [...headers]
}
