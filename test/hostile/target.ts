import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import { makeFolder, ROOT, type AtEnd } from '../support/process.ts'

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
  /** The last megabyte that it wrote. */
  output(): string
  /** Forgets its output and its peak so far. */
  forget(): void
  /** What it holds after a full collection. */
  sample(): Promise<Sample>
  kill(signal: 'SIGTERM' | 'SIGKILL'): void
  /** Resolves to its exit code, or to the signal that ended it. */
  readonly exited: Promise<string>
}

/** What the process holds, all in MB. */
export interface Sample {
  heap: number
  /** Outside of the heap: buffers. */
  external: number
  rss: number
  /** Open handles and running timers, by their kind. */
  resources: Record<string, number>
}

/** Runs in the gateway's process before it: answers each message with a sample. Plain JavaScript in a URL. */
const PROBE = `data:text/javascript,${encodeURIComponent(`
process.on('message', () => {
  gc(); gc()
  const { heapUsed, external, rss } = process.memoryUsage()
  const resources = {}
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1
  const mb = (bytes) => bytes / 1048576
  process.send({ heap: mb(heapUsed), external: mb(external), rss: mb(rss), resources })
})
`)}`

export interface TargetOptions {
  /** Called with each line that it logs. */
  onLine?: (line: string) => void
  /** Files in its working directory. */
  files?: Record<string, string>
  /** A command of the shell that sets its limits. */
  limits?: string
  atEnd?: AtEnd
}

/** In `npm test` several suites run at once: a gateway that is slow for that must refuse nothing. */
const SLOW = process.env.HOSTILE === 'full' ? {} : { MAX_EVENT_LOOP_DELAY_MS: '0' }

/** Starts the gateway with the heap that the README recommends; stops it after the test, unless there is another end. */
export async function startTarget(
  env: Record<string, string> = {},
  { onLine = () => {}, files = {}, limits = 'true', atEnd = onTestFinished }: TargetOptions = {},
): Promise<Target> {
  const options = ['--max-old-space-size=640', '--expose-gc', '--import', PROBE]
  const command = [process.execPath, ...options, join(ROOT, 'dist/src/main.js')]
  // `exec`: the child is the gateway itself.
  const child = spawn('sh', ['-c', `${limits}; exec "$@"`, 'sh', ...command], {
    cwd: await makeFolder(files, atEnd),
    env: { PATH: process.env.PATH, PORT: '0', LOG_LEVEL: 'info', MOCK: 'true', ...SLOW, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  const { stdout, stderr } = child
  if (!stdout || !stderr) throw new Error('The gateway has no output')
  createInterface(stdout).on('line', onLine)
  let output = ''
  const end: { how?: string } = {}
  for (const stream of [stdout, stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-MB)))
  const closed = once(child, 'close').then(([code, signal]) => (end.how = String(code ?? signal)))
  atEnd(async () => {
    child.kill('SIGKILL')
    await closed
  })
  let url: string | undefined
  while (end.how === undefined && !url) {
    await Promise.race([once(stdout, 'data'), closed])
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
    forget() {
      output = ''
      // Linux: the peak begins anew.
      writeFileSync(`/proc/${child.pid}/clear_refs`, '5')
    },
    async sample() {
      const answer = once(child, 'message')
      child.send('sample')
      const [sample] = await answer
      return sample
    },
    kill: (signal) => void child.kill(signal),
    exited: closed,
  }
}

export interface Answer {
  status: number
  headers: Record<string, unknown>
  body: string
}

export interface AskOptions {
  method?: string
  body?: string | Buffer | object
  headers?: Record<string, string>
}

/** One request on its own connection; rejects when the connection breaks. */
export function ask(
  { port }: Pick<Target, 'port'>,
  path: string,
  { body, headers = {}, method }: AskOptions = {},
): Promise<Answer> {
  const raw = typeof body === 'object' && !Buffer.isBuffer(body) ? JSON.stringify(body) : body
  return new Promise((resolve, reject) => {
    const sent = request({
      port,
      host: '127.0.0.1',
      path,
      method: method ?? (raw === undefined ? 'GET' : 'POST'),
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

/** Sends these bytes, the text in Latin-1, and resolves to everything that comes until the gateway closes. */
export async function answersTo(target: Pick<Target, 'port'>, bytes: string | Buffer): Promise<string> {
  let text = ''
  const raw = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
  const socket = await dial(target, raw, { read: false })
  socket.on('data', (data: Buffer) => (text += data.toString('latin1')))
  await once(socket, 'close')
  return text
}

/** An upstream that answers every request with `answer`, which is given its text; for one test, as `startTarget`. */
export async function startHostileUpstream(
  answer: (socket: Socket, received: string) => void,
  atEnd: AtEnd = onTestFinished,
): Promise<number> {
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
      const text = received
      received = ''
      answer(socket, text)
    })
  }).listen(0, '127.0.0.1')
  atEnd(async () => {
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
