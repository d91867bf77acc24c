import { Socket } from 'node:net'
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
  /** Each stream on a new connection. */
  fresh?: boolean
  /** Streams a second in all, evenly spread, however long each takes. */
  rate?: number
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
const HEAD_END = '\r\n\r\n'
const LAST_CHUNK = '0\r\n\r\n'

const readers = new Set<Reader>()
/** One for all sockets: what has been read is counted before the next read. */
const buffer = Buffer.allocUnsafe(256 * 1024)

let tokens = 0
let bytes = 0
let reads = 0
let begun = 0
let ended = 0
/** When the first stream was asked for, and the last one ended. */
let startedAt = Infinity
let endedAt = 0
let failures: string[] = []
let streamsLeft = 0
/** Streams that have been asked for and have not ended. */
let open = 0
let onAllEnded: () => void = () => {}
/** Aborted by a reset: whoever opens readers stops. */
let opening = new AbortController()
let firstTokens: number[] = []
let durations: number[] = []
let jitter = new Histogram()
/** When the n-th token of a stream reached the reader that got it last, on the clock that all processes share. */
let arrivedAt: number[] = []

/** Lets readers ask at an even rate. When no reader is free, the next free one asks late; its time counts from when it was due. */
class Turns {
  readonly #free: Reader[] = []
  readonly #due: number[] = []
  readonly #start: number
  readonly #rate: number
  #given = 0

  constructor(rate: number, signal: AbortSignal) {
    this.#start = now()
    this.#rate = rate
    // Timers are accurate to a millisecond: all that is due within one is asked for together.
    const timer = setInterval(() => this.#give(now()), 1)
    signal.addEventListener('abort', () => clearInterval(timer))
  }

  take(reader: Reader): void {
    const at = this.#due.shift()
    if (at === undefined) this.#free.push(reader)
    else reader.ask(at)
  }

  #give(at: number): void {
    const due = Math.floor(((at - this.#start) * this.#rate) / 1000)
    for (; this.#given < due; this.#given++) {
      const reader = this.#free.shift()
      if (reader) reader.ask(at)
      else this.#due.push(at)
    }
  }
}

/** One connection, which asks for one stream after the other. */
class Reader {
  readonly #socket: Socket
  readonly #request: string
  readonly #options: OpenOptions
  readonly #index: number
  readonly #turns: Turns | undefined
  /** Opens the next stream, where each has a connection of its own. */
  #successor: Reader | undefined
  #head = ''
  #inHead = true
  /** Of a body with a length; undefined for one that ends with a chunk. */
  #bytesLeft: number | undefined
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

  /** Does not connect yet: creating the socket must not count as time that the relay takes. */
  constructor(options: OpenOptions, index: number, turns?: Turns) {
    this.#options = options
    this.#index = index
    this.#turns = turns
    this.#request = options.requests[index % options.requests.length]!
    // A variable, since the types of the constructor do not know `onread`.
    const socketOptions = { allowHalfOpen: false, onread: { buffer, callback: (count: number) => this.#read(count) } }
    this.#socket = new Socket(socketOptions)
    this.#socket.setNoDelay()
    if (options.stalled) {
      this.#socket.pause()
      this.#socket.on('connect', () => this.#release())
    }
    this.#socket.on('error', (error) => this.#fail(error.message))
    this.#socket.on('close', () => this.#close())
    readers.add(this)
  }

  start(): void {
    const at = now()
    const { port, addresses = 1 } = this.#options
    const localAddress = addresses > 1 ? `127.0.0.${2 + (this.#index % addresses)}` : undefined
    this.#socket.connect({ port, host: '127.0.0.1', ...(localAddress && { localAddress }) })
    this.#askNext(at)
  }

  get active(): boolean {
    return this.#active
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #askNext(at = now()): void {
    if (this.#turns) this.#turns.take(this)
    else this.ask(at)
  }

  /** `at` is when the stream was due. */
  ask(at: number): void {
    // A reset may have come while it paused.
    if (streamsLeft === 0 || this.#socket.destroyed) return
    streamsLeft -= 1
    begun += 1
    open += 1
    startedAt = Math.min(startedAt, at)
    this.#active = true
    this.#tokens = 0
    this.#head = this.#tail = ''
    this.#inHead = true
    this.#bytesLeft = undefined
    this.#lastAt = 0
    this.#askedAt = at
    this.#socket.write(this.#request)
  }

  #read(count: number): boolean {
    const at = now()
    reads += 1
    bytes += count
    const from = this.#inHead ? this.#readHead(count) : 0
    let marks = 0
    for (let i = from; i < count; i++) if (buffer[i] === MARK_BYTE) marks += 1
    if (marks > 0) this.#count(marks, at)
    if (this.#inHead) return true
    if (this.#bytesLeft !== undefined) {
      this.#bytesLeft -= count - from
      if (this.#bytesLeft <= 0) this.#end(at)
      return true
    }
    this.#tail = count >= 5 ? text(count - 5, count) : (this.#tail + text(0, count)).slice(-5)
    if (this.#tail === LAST_CHUNK) this.#end(at)
    return true
  }

  /** Learns how the body ends; returns where in the buffer it begins. */
  #readHead(count: number): number {
    const before = this.#head.length
    this.#head += text(0, Math.min(count, 4096))
    if (!this.#head.startsWith('HTTP/1.1 200')) this.#fail(this.#head.slice(0, 400))
    const end = this.#head.indexOf(HEAD_END)
    if (end === -1) return count
    this.#inHead = false
    const [, length] = /\r\ncontent-length: *(\d+)/i.exec(this.#head.slice(0, end)) ?? []
    if (length !== undefined) this.#bytesLeft = Number(length)
    return end + HEAD_END.length - before
  }

  #count(marks: number, at: number): void {
    if (this.#lastAt === 0) this.#begin(at)
    else jitter.add(Math.abs(at - this.#lastAt - (this.#options.intervalMs ?? 0)))
    this.#lastAt = at
    if (arrivedAt.length < 10_000) for (let i = 0; i < marks; i++) arrivedAt[this.#tokens + i] = at
    this.#tokens += marks
    tokens += marks
    this.#ready?.()
    if (this.#tokens >= (this.#options.until ?? 1)) this.#caughtUp?.()
  }

  #begin(at: number): void {
    firstTokens.push(at - this.#askedAt)
    if (this.#options.fresh && streamsLeft > 0) this.#prepareSuccessor()
  }

  /** Early, so that it takes no time between two streams. */
  #prepareSuccessor(): Reader {
    return (this.#successor ??= new Reader(this.#options, this.#index, this.#turns))
  }

  #end(at: number): void {
    ended += 1
    endedAt = at
    durations.push(at - this.#askedAt)
    this.#settle()
    const { pauseMs = 0, fresh = false } = this.#options
    if (fresh) this.destroy()
    else if (pauseMs > 0) setTimeout(() => this.#askNext(), Math.random() * pauseMs)
    else this.#askNext()
    checkAllEnded()
  }

  #fail(reason: string): void {
    failures.push(reason)
    this.#settle()
    this.destroy()
  }

  #close(): void {
    readers.delete(this)
    // A reset closes them as well, and forgets the failures.
    if (this.#active) failures.push(`The connection was closed after ${this.#tokens} tokens`)
    this.#settle()
    if (this.#options.fresh && streamsLeft > 0) this.#prepareSuccessor().start()
    else this.#successor?.destroy()
    checkAllEnded()
  }

  /** Nobody waits for it any more. */
  #settle(): void {
    if (this.#active) open -= 1
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
async function openReaders(options: OpenOptions): Promise<number> {
  const { count, rate, apartMs = 0, atOnce = apartMs > 0 ? 1 : 64 } = options
  streamsLeft += options.total ?? count
  const waiting: Promise<void>[] = []
  const { signal } = opening
  const turns = rate === undefined ? undefined : new Turns(rate, signal)
  const prepared = Array.from({ length: count }, (_, index) => new Reader(options, index, turns))
  let opened = 0
  const start = now()
  const worker = async () => {
    while (opened < count && !signal.aborted) {
      const reader = prepared[opened]!
      opened += 1
      reader.start()
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

function checkAllEnded(): void {
  if (streamsLeft === 0 && open === 0) onAllEnded()
}

/** Resolves to whether they have, at the end or when time is up. */
async function untilEnded(timeoutMs: number): Promise<boolean> {
  const allEnded = new Promise<void>((resolve) => (onAllEnded = resolve))
  checkAllEnded()
  await Promise.race([allEnded, sleep(timeoutMs, undefined, { ref: false })])
  return streamsLeft === 0 && open === 0
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
  durations = []
  startedAt = Infinity
  jitter = new Histogram()
}

const commands = {
  open: openReaders,
  untilEnded,
  reset,
  forget,
  /** Nobody asks for another stream. */
  stopAsking: () => {
    streamsLeft = 0
    checkAllEnded()
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
  durations: () => durations,
  seconds: () => (endedAt - startedAt) / 1000,
  jitter: () => jitter.quantiles([0.5, 0.99]),
  arrivedAt: () => arrivedAt,
}
export type LoadCommands = typeof commands

answer(commands)
