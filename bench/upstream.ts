import { createServer, type AddressInfo, type Socket } from 'node:net'
import { createRings, jsonResponse, type ChunkRing } from './chunks.ts'
import { now } from './clock.ts'
import { onRequests, type ReceivedRequest } from './http-requests.ts'
import { answer } from './remote.ts'

/** How the streams go that start from now on. */
export interface Pace {
  /** Writes a second on each stream; 0 is as fast as the reader takes them. */
  rate: number
  /** Tokens in a write. */
  burst?: number
  /** Tokens in a stream; without end when absent. */
  tokens?: number
  /** Added to the text of every token, in bytes. */
  padding?: number
  /** Until `release` streams stop after their first token: none takes its time from those still being opened. */
  gated?: boolean
}

/** Writes of one stream in one turn of the event loop, at full speed: then it is another's turn. */
const WRITES_PER_TURN = 16
const MAKE_UP_MS = 20

/** A gateway may ask which models there are. */
const MODELS = jsonResponse({
  object: 'list',
  data: [{ id: 'bench', object: 'model', created: 1_760_000_000, owned_by: 'bench' }],
})

const open = new Set<Stream>()
/** Streams by the millisecond of the interval in which they are due: their phases are spread, and nothing is sorted. */
let slots: Set<Stream>[] = [new Set()]
let slotMs = 1
let nextSlot = 0
let pace: Pace = { rate: 1 }
let rings = createRings()
/** Answers that are not streamed, with as many tokens as the pace says, by ring. */
let answers: Buffer[] = []
let gated = false
let started = 0
let sent = 0
/** When each token of the stream that started last was written, on the clock that all processes share. */
let sentAt: number[] = []
let clock = { start: 0, position: 0 }
let timer: NodeJS.Timeout | undefined

/** One completion. */
class Stream {
  readonly #socket: Socket
  readonly #ring: ChunkRing
  readonly #pace: Pace = pace
  readonly #slot: Set<Stream>
  #position: number
  #sent = 0
  #ended = false

  constructor(socket: Socket) {
    this.#socket = socket
    this.#ring = rings[started % rings.length]!
    // Neighbours are at different words.
    this.#position = started * 7
    started += 1
    sentAt = []
    open.add(this)
    this.#slot = slots[nextSlot++ % slots.length]!
    socket.cork()
    socket.write(this.#ring.head)
    // The first token does not wait for the stream's turn, so that the time to it is that of the way alone.
    this.send(1)
    socket.uncork()
    if (!gated) this.begin()
  }

  begin(): void {
    if (this.#ended) return
    if (this.#pace.rate > 0) this.#slot.add(this)
    else this.#pour()
  }

  /** As fast as the socket takes it. */
  readonly #pour = (): void => {
    for (let i = 0; i < WRITES_PER_TURN; i++) {
      if (this.#ended) return
      if (this.#socket.writableNeedDrain) {
        this.#socket.once('drain', this.#pour)
        return
      }
      this.send(this.#pace.burst ?? 1)
    }
    setImmediate(this.#pour)
  }

  /** Nothing is made while the reader does not take it, as with a model that waits. */
  send(count: number): void {
    if (this.#ended || this.#socket.writableNeedDrain) return
    const left = (this.#pace.tokens ?? Infinity) - this.#sent
    const tokens = Math.min(count, left)
    // The last token and the end go together.
    if (tokens === left) this.#socket.cork()
    this.#socket.write(this.#ring.slice(this.#position, tokens))
    this.#position += tokens
    this.#sent += tokens
    sent += tokens
    if (sentAt.length < 10_000) sentAt.push(now())
    if (tokens === left) {
      this.finish()
      this.#socket.uncork()
    }
  }

  finish(): void {
    if (this.#ended) return
    this.#socket.write(this.#ring.tail)
    this.leave()
  }

  /** It has ended, or nobody reads it any more. */
  leave(): void {
    this.#ended = true
    open.delete(this)
    this.#slot.delete(this)
  }
}

function tick(): void {
  const due = Math.floor((performance.now() - clock.start) / slotMs)
  // What is late by more than this is not made up for: it would come as a flood.
  clock.position = Math.max(clock.position, due - Math.ceil(MAKE_UP_MS / slotMs))
  for (; clock.position < due; clock.position++)
    for (const stream of slots[clock.position % slots.length]!) stream.send(pace.burst ?? 1)
}

function configure(next: Pace): void {
  clearInterval(timer)
  // Those that a reader or a relay left behind must not be counted with the next ones.
  for (const stream of open) stream.finish()
  if ((next.padding ?? 0) !== (pace.padding ?? 0)) rings = createRings(next.padding)
  answers = []
  pace = next
  gated = next.gated ?? false
  const interval = next.rate > 0 ? 1000 / next.rate : 1000
  slots = Array.from({ length: Math.max(1, Math.round(interval)) }, () => new Set<Stream>())
  slotMs = interval / slots.length
  clock = { start: performance.now(), position: 0 }
  if (next.rate > 0) timer = setInterval(tick, 1)
  started = 0
  sent = 0
}

const server = createServer({ noDelay: true }, (socket) => {
  let stream: Stream | undefined
  onRequests(socket, (request) => {
    stream = respond(socket, request)
  })
  socket.on('error', () => {})
  socket.on('close', () => stream?.leave())
})

function respond(socket: Socket, { line, body }: ReceivedRequest): Stream | undefined {
  if (/"stream": ?true/.test(body)) return new Stream(socket)
  if (line.startsWith('POST ')) sendWhole(socket)
  else socket.write(MODELS)
  return undefined
}

function sendWhole(socket: Socket): void {
  const tokens = pace.tokens ?? 20
  const identity = started % rings.length
  socket.write((answers[identity] ??= rings[identity]!.whole(tokens)))
  started += 1
  sent += tokens
}

server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 })

const commands = {
  port: () => (server.address() as AddressInfo).port,
  configure,
  counters: () => ({ started, sent, open: open.size }),
  frameBytes: () => rings[0]!.frameBytes,
  sentAt: () => sentAt,
  release: () => {
    gated = false
    clock = { start: performance.now(), position: 0 }
    for (const stream of open) stream.begin()
  },
  /** Ends all streams as a model ends that has nothing more to say. */
  finish: () => {
    for (const stream of open) stream.finish()
  },
}
export type UpstreamCommands = typeof commands

server.on('listening', () => answer(commands))
