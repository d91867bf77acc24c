import { connect, type Socket } from 'node:net'
import { connect as connectSecurely } from 'node:tls'
import { CA } from './tls.ts'

/** What Redis answers in RESP2; an error within an array is an `Error`. */
export type Reply = string | number | null | Error | Reply[]

interface Waiting {
  resolve: (reply: Reply) => void
  reject: (error: Error) => void
}

/** One connection to a Redis, made (again) by the first command that finds none. Commands are answered in order. */
export class RedisClient {
  readonly #url: URL
  #socket: Socket | undefined
  #waiting: Waiting[] = []
  #unread = Buffer.alloc(0)

  /** `redis:` or `rediss:`, with or without a user and a password. */
  constructor(url: string) {
    this.#url = new URL(url)
  }

  /** @throws Error with the answer when that is an error, and when the connection closes before it came */
  command(...words: (string | number)[]): Promise<Reply> {
    this.#socket ??= this.#connect()
    return this.#send(this.#socket, words)
  }

  close(): void {
    this.#socket?.destroy()
  }

  #connect(): Socket {
    const { protocol, hostname, port, username, password } = this.#url
    const secure = protocol === 'rediss:'
    const socket = secure
      ? connectSecurely({ port: Number(port), host: hostname, ca: CA })
      : connect(Number(port), hostname)
    const waiting: Waiting[] = []
    this.#waiting = waiting
    this.#unread = Buffer.alloc(0)
    let reason = new Error('The connection to Redis closed')
    socket.setNoDelay(true)
    socket.unref()
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('error', (error) => {
      reason = error
    })
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = undefined
      for (const { reject } of waiting.splice(0)) reject(reason)
    })
    if (password) {
      const words = username ? [decodeURIComponent(username)] : []
      // Refused: so are the commands after it.
      this.#send(socket, ['AUTH', ...words, decodeURIComponent(password)]).catch(() => {})
    }
    return socket
  }

  #send(socket: Socket, words: (string | number)[]): Promise<Reply> {
    const parts = words.map((word) => `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      socket.write(`*${words.length}\r\n${parts.join('')}`)
    })
  }

  #read(chunk: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, chunk])
    for (;;) {
      const parsed = parse(this.#unread, 0)
      if (!parsed) return
      this.#unread = this.#unread.subarray(parsed.end)
      const waiting = this.#waiting.shift()
      if (parsed.reply instanceof Error) waiting?.reject(parsed.reply)
      else waiting?.resolve(parsed.reply)
    }
  }
}

/** The reply that starts here and where it ends, once all of it has come. */
function parse(bytes: Buffer, start: number): { reply: Reply; end: number } | undefined {
  const lineEnd = bytes.indexOf('\r\n', start)
  if (lineEnd === -1) return undefined
  const type = String.fromCharCode(bytes[start] ?? 0)
  const line = bytes.toString('utf8', start + 1, lineEnd)
  const next = lineEnd + 2
  if (type === '+') return { reply: line, end: next }
  if (type === '-') return { reply: new Error(line), end: next }
  if (type === ':') return { reply: Number(line), end: next }
  const length = Number(line)
  if (length === -1) return { reply: null, end: next }
  if (type === '$') {
    const end = next + length
    return bytes.length < end + 2 ? undefined : { reply: bytes.toString('utf8', next, end), end: end + 2 }
  }
  if (type !== '*') throw new Error(`No RESP2: ${line}`)
  const replies: Reply[] = []
  let end = next
  while (replies.length < length) {
    const element = parse(bytes, end)
    if (!element) return undefined
    replies.push(element.reply)
    ;({ end } = element)
  }
  return { reply: replies, end }
}
