import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { createRings, type ChunkRing } from './chunks.ts'
import { now } from './clock.ts'
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

const open = new Set<Stream>()
/** Streams by the millisecond of the interval in which they are due: their phases are spread, and nothing is sorted. */
let slots: Set<Stream>[] = [new Set()]
let slotMs = 1
let nextSlot = 0
let pace: Pace = { rate: 1 }
let rings = createRings()
let gated = false
let started = 0
let sent = 0
/** When each token of the stream that started last was written, on the clock that all processes share. */
let sentAt: number[] = []
let clock = { start: 0, position: 0 }
let timer: NodeJS.Timeout | undefined

/** One completion. Tokens go straight to the socket: `response.write` would cost more than all the rest. */
class Stream {
  readonly #response: ServerResponse
  readonly #socket: Socket
  readonly #ring: ChunkRing
  readonly #pace: Pace = pace
  readonly #slot: Set<Stream>
  #position: number
  #sent = 0
  #ended = false

  constructor(response: ServerResponse) {
    this.#response = response
    this.#socket = response.socket!
    this.#ring = rings[started % rings.length]!
    // Neighbours are at different words.
    this.#position = started * 7
    started += 1
    sentAt = []
    open.add(this)
    response.on('close', () => this.#leave())
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' })
    this.#socket.cork()
    response.flushHeaders()
    this.#socket.write(this.#ring.head)
    // The first token does not wait for the stream's turn, so that the time to it is that of the way alone.
    this.send(1)
    this.#socket.uncork()
    this.#slot = slots[nextSlot++ % slots.length]!
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
    this.#socket.write(this.#ring.slice(this.#position, tokens))
    this.#position += tokens
    this.#sent += tokens
    sent += tokens
    if (sentAt.length < 10_000) sentAt.push(now())
    if (tokens === left) this.finish()
  }

  finish(): void {
    if (this.#ended) return
    this.#ended = true
    this.#socket.write(this.#ring.tail)
    this.#response.end()
  }

  #leave(): void {
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

const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (request: IncomingMessage, response) => {
  // A gateway may ask for the models, too, now and then.
  if (request.method === 'POST') request.resume().on('end', () => new Stream(response))
  else response.writeHead(404).end()
})
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
