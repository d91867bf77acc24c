import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import { makeFolder, ROOT } from '../support/process.ts'

const MB = 1024 * 1024

/** The built gateway in its own process, with a heap small enough for an attack to fill. */
export interface Target {
  port: number
  url: string
  /** Current and peak resident memory, in MB. */
  rss(): number
  peak(): number
  /** How the process ended, if it has. */
  readonly ended: string | undefined
  /** Everything it wrote. */
  output(): string
}

/** Starts the gateway with the heap that the README recommends; stops it after the test. */
export async function startTarget(env: Record<string, string> = {}): Promise<Target> {
  const child = spawn(process.execPath, ['--max-old-space-size=640', join(ROOT, 'dist/src/main.js')], {
    cwd: await makeFolder(),
    env: { PATH: process.env.PATH, PORT: '0', LOG_LEVEL: 'info', MOCK: 'true', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const end: { how?: string } = {}
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-MB)))
  const closed = once(child, 'close').then(([code, signal]) => void (end.how = String(code ?? signal)))
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await closed
  })
  let url: string | undefined
  while (end.how === undefined && !url) {
    await Promise.race([once(child.stdout, 'data'), closed])
    url = /"url":"([^"]+)"/.exec(output)?.[1]
  }
  if (!url) throw new Error(`The gateway did not start: ${output}`)
  const status = (field: string) => {
    const text = readFileSync(`/proc/${child.pid}/status`, 'utf8')
    return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(text)?.[1]) / 1024
  }
  return {
    port: Number(new URL(url).port),
    url,
    rss: () => (end.how === undefined ? status('VmRSS') : 0),
    peak: () => (end.how === undefined ? status('VmHWM') : 0),
    get ended() {
      return end.how
    },
    output: () => output,
  }
}

export interface Answer {
  status: number
  headers: Record<string, unknown>
  body: string
}

/** One request on its own connection; rejects when the connection breaks. */
export function ask(
  { port }: Pick<Target, 'port'>,
  path: string,
  { body, headers = {} }: { body?: string | Buffer | object; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const raw = typeof body === 'object' && !Buffer.isBuffer(body) ? JSON.stringify(body) : body
  return new Promise((resolve, reject) => {
    const sent = request({
      port,
      host: '127.0.0.1',
      path,
      method: raw === undefined ? 'GET' : 'POST',
      agent: false,
      headers:
        raw === undefined
          ? headers
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(raw), ...headers },
    })
    sent.on('error', reject)
    sent.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }))
    })
    sent.end(raw)
  })
}

/** Opens a connection and sends these bytes. */
export async function dial(
  { port }: Pick<Target, 'port'>,
  bytes: string | Buffer,
  { read = true } = {},
): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  if (read) socket.resume()
  socket.write(bytes)
  return socket
}

/** An upstream that answers every request with `answer`. */
export async function startHostileUpstream(answer: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    let received = ''
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    socket.on('data', (bytes) => {
      received += bytes.toString('latin1')
      const end = received.indexOf('\r\n\r\n')
      const length = Number(/content-length: (\d+)/i.exec(received)?.[1] ?? 0)
      if (end === -1 || received.length < end + 4 + length) return
      received = ''
      answer(socket)
    })
  }).listen(0, '127.0.0.1')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** Keeps writing the results of `make`, as fast as the peer reads, up to a time or a size. */
export async function flood(
  socket: Socket,
  make: () => string | Buffer,
  { bytes = Infinity, ms = 5000 } = {},
): Promise<number> {
  const start = performance.now()
  let sent = 0
  while (!socket.destroyed && sent < bytes && performance.now() - start < ms) {
    const piece = make()
    sent += piece.length
    if (!socket.write(piece))
      await Promise.race([once(socket, 'drain'), once(socket, 'close'), sleep(ms)]).catch(() => {})
    else await new Promise(setImmediate)
  }
  return sent
}
