import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { now } from './clock.ts'
import { Histogram } from './histogram.ts'
import { answer } from './remote.ts'
import { MARK } from './request.ts'

export interface OpenOptions {
  port: number
  /** What readers send, dealt out in turn. */
  requests: string[]
  /** Readers, each with a connection of its own. */
  count: number
  /** Readers that may be between connecting and their first token at a time. */
  atOnce?: number
  /** Resolves when each reader has had this many tokens. */
  until?: number
  /** Streams in all: a reader whose stream has ended asks for another one, on the same connection. */
  total?: number
  /** Between two streams of one reader, at most; drawn anew each time. */
  pauseMs?: number
  /** Between one reader's first token and the next reader's connecting; all have to come one by one, then. */
  apartMs?: number
  /** Between two tokens as they should come; what differs from it is jitter. */
  intervalMs?: number
  /** Readers that take nothing from their socket. */
  stalled?: boolean
  /** Spreads the readers over so many source addresses, each of which has ports for some 28,000. */
  addresses?: number
}

const MARK_BYTE = MARK.charCodeAt(0)
/** For a relay that has stopped answering. */
const PATIENCE_MS = 90_000
const END = '0\r\n\r\n'

const readers = new Set<Reader>()
/** One for all sockets: what has been read is counted before the next read. */
const buffer = Buffer.allocUnsafe(256 * 1024)

let tokens = 0
let bytes = 0
let reads = 0
let begun = 0
let ended = 0
let failures: string[] = []
let streamsLeft = 0
/** Aborted by a reset: whoever opens readers stops. */
let opening = new AbortController()
let firstTokens: number[] = []
let jitter = new Histogram()
/** When the n-th token of a stream reached the reader that got it last, on the clock that all processes share. */
let arrivedAt: number[] = []

/** One connection, which asks for one stream after the other. */
class Reader {
  readonly #socket: Socket
  readonly #request: string
  readonly #options: OpenOptions
  #tail = ''
  #tokens = 0
  #askedAt = 0
  #lastAt = 0
  #active = false
  #ready: (() => void) | undefined
  #caughtUp: (() => void) | undefined
  /** Another may connect. */
  readonly ready = new Promise<void>((resolve) => (this.#ready = resolve))
  readonly caughtUp = new Promise<void>((resolve) => (this.#caughtUp = resolve))

  constructor(options: OpenOptions, index: number) {
    this.#options = options
    this.#request = options.requests[index % options.requests.length]!
    const { port, addresses = 1, stalled = false } = options
    const localAddress = addresses > 1 ? `127.0.0.${2 + (index % addresses)}` : undefined
    const onread = { buffer, callback: (count: number) => this.#read(count) }
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true, onread, ...(localAddress && { localAddress }) })
    if (stalled) {
      this.#socket.pause()
      this.#socket.on('connect', () => this.#release())
    }
    this.#socket.on('error', (error) => this.#fail(error.message))
    this.#socket.on('close', () => this.#close())
    readers.add(this)
    this.#ask()
  }

  get active(): boolean {
    return this.#active
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #ask(): void {
    // A reset may have come while it paused.
    if (streamsLeft === 0 || this.#socket.destroyed) return
    streamsLeft -= 1
    begun += 1
    this.#active = true
    this.#tokens = 0
    this.#tail = ''
    this.#lastAt = 0
    this.#askedAt = now()
    this.#socket.write(this.#request)
  }

  #read(count: number): boolean {
    const at = now()
    reads += 1
    bytes += count
    if (this.#tail === '') this.#checkStatus(count)
    let marks = 0
    for (let i = 0; i < count; i++) if (buffer[i] === MARK_BYTE) marks += 1
    if (marks > 0) this.#count(marks, at)
    this.#tail = count >= 5 ? text(count - 5, count) : (this.#tail + text(0, count)).slice(-5)
    if (this.#tail === END) this.#end()
    return true
  }

  #count(marks: number, at: number): void {
    if (this.#lastAt === 0) firstTokens.push(at - this.#askedAt)
    else jitter.add(Math.abs(at - this.#lastAt - (this.#options.intervalMs ?? 0)))
    this.#lastAt = at
    if (arrivedAt.length < 10_000) for (let i = 0; i < marks; i++) arrivedAt[this.#tokens + i] = at
    this.#tokens += marks
    tokens += marks
    this.#ready?.()
    if (this.#tokens >= (this.#options.until ?? 1)) this.#caughtUp?.()
  }

  #checkStatus(count: number): void {
    const start = text(0, Math.min(count, 400))
    if (!start.startsWith('HTTP/1.1 200')) this.#fail(start)
  }

  #end(): void {
    ended += 1
    this.#active = false
    this.#release()
    const { pauseMs = 0 } = this.#options
    if (pauseMs > 0) setTimeout(() => this.#ask(), Math.random() * pauseMs)
    else this.#ask()
  }

  #fail(reason: string): void {
    failures.push(reason)
    this.#release()
    this.destroy()
  }

  #close(): void {
    readers.delete(this)
    // A reset closes them as well, and forgets the failures.
    if (this.#active) failures.push(`The connection was closed after ${this.#tokens} tokens`)
    this.#active = false
    this.#release()
  }

  #release(): void {
    this.#ready?.()
    this.#caughtUp?.()
  }
}

function text(from: number, to: number): string {
  return buffer.toString('latin1', from, to)
}

/**
 * Resolves to how long it took until all readers had what they wait for.
 * @throws Error when they do not get it
 */
async function open(options: OpenOptions): Promise<number> {
  const { count, apartMs = 0, atOnce = apartMs > 0 ? 1 : 64 } = options
  streamsLeft += options.total ?? count
  const start = now()
  const waiting: Promise<void>[] = []
  const { signal } = opening
  let opened = 0
  const worker = async () => {
    while (opened < count && !signal.aborted) {
      const reader = new Reader(options, opened)
      opened += 1
      waiting.push(reader.caughtUp)
      await reader.ready
      if (apartMs > 0) await sleep(apartMs)
    }
  }
  const allOpen = Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker)).then(() => Promise.all(waiting))
  const inTime = await Promise.race([allOpen, sleep(PATIENCE_MS, 'too late', { ref: false })])
  if (inTime === 'too late') throw new Error(`Of ${count} readers, ${opened} were opened in ${PATIENCE_MS / 1000} s.`)
  return now() - start
}

async function untilEnded(timeoutMs: number): Promise<boolean> {
  const deadline = now() + timeoutMs
  const busy = () => streamsLeft > 0 || [...readers].some((reader) => reader.active)
  while (busy() && now() < deadline) await sleep(10)
  return !busy()
}

async function reset(): Promise<void> {
  opening.abort()
  opening = new AbortController()
  streamsLeft = 0
  for (const reader of readers) reader.destroy()
  while (readers.size > 0) await sleep(5)
  tokens = bytes = reads = begun = ended = 0
  failures = []
  forget()
  arrivedAt = []
}

/** Starts the latencies anew, and leaves the streams alone. */
function forget(): void {
  firstTokens = []
  jitter = new Histogram()
}

const commands = {
  open,
  untilEnded,
  reset,
  forget,
  /** Nobody asks for another stream. */
  stopAsking: () => {
    streamsLeft = 0
  },
  counters: () => ({
    tokens,
    bytes,
    reads,
    begun,
    ended,
    failures: failures.length,
    firstFailure: failures[0] ?? '',
  }),
  firstTokens: () => firstTokens,
  jitter: () => jitter.quantiles([0.5, 0.99]),
  arrivedAt: () => arrivedAt,
}
export type LoadCommands = typeof commands

answer(commands)
