import type { ServerResponse } from 'node:http'
import { encodeComment, encodeEvent, type EventFields } from './encode.ts'
import { Heartbeat, type HeartbeatListener } from './heartbeat.ts'
import { cutOffAfterWrites, dropReader, isOver } from './http2.ts'
import { joinWrites, Payload, openBody, type WriteBody } from './response-body.ts'
import { readLastEventId, type ReaderRequest } from './last-event-id.ts'

/** How a response ended: completely sent, the reader disconnected, or the reader stalled. */
export type EventStreamEnd = 'finished' | 'disconnected' | 'stalled'

export interface EventStreamOptions {
  /** Milliseconds of silence on the connection after which a comment is sent. */
  heartbeatMs?: number
  /** How long a full socket may take to drain, in milliseconds, before the connection is closed. */
  slowReaderMs?: number
  /** Milliseconds that the reader should wait before it reconnects; by default 1000 to 3000, a new draw each time. */
  retry?: number | false
  /** Sent on a silent connection; by default a comment. */
  comment?: string
  /** The shared timer; by default one per process for all responses with the same periods. */
  heartbeat?: Heartbeat
  onHeartbeat?: () => void
}

/** Headers of every event stream. */
export const EVENT_STREAM_HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-cache, no-transform',
  'X-Accel-Buffering': 'no',
  'X-Content-Type-Options': 'nosniff',
}

const HEARTBEAT = encodeComment('heartbeat')

/**
 * Writes an SSE response: headers at once, whole frames, and heartbeats during silence. Buffers at most one write
 * beyond what the socket accepts: while `blocked`, wait for `onDrain`; stop at `onClose`.
 */
export class EventStreamWriter implements HeartbeatListener {
  readonly #response: ServerResponse
  #write: WriteBody = () => false
  readonly #heartbeat: Heartbeat
  readonly #heartbeatMs: number
  readonly #slowReaderMs: number
  readonly #comment: string
  readonly #onHeartbeat: (() => void) | undefined
  /** Time of the last beat that found a new write or a newly blocked socket. */
  #since = performance.now()
  #wroteSinceBeat = true
  #blocked = false
  /** No further writes will follow. */
  #ending = false
  #end: EventStreamEnd | undefined
  /** Called when the socket can take more. */
  onDrain: () => void = () => {}
  /** Called once when no more can be written, also after `end`. */
  onClose: (end: EventStreamEnd) => void = () => {}

  constructor(response: ServerResponse, options: EventStreamOptions = {}) {
    const { heartbeatMs = 8_000, slowReaderMs = 30_000, retry = 1000 + Math.floor(Math.random() * 2001) } = options
    this.#response = response
    this.#heartbeatMs = heartbeatMs
    this.#slowReaderMs = slowReaderMs
    this.#heartbeat = options.heartbeat ?? sharedHeartbeat(heartbeatMs, slowReaderMs)
    this.#comment = options.comment ?? HEARTBEAT
    this.#onHeartbeat = options.onHeartbeat
    for (const [name, value] of Object.entries(EVENT_STREAM_HEADERS)) response.setHeader(name, value)
    response.on('close', () => this.#close('disconnected'))
    // A connection reset by the reader is not a failure: `close` follows and is handled.
    response.on('error', () => {})
    if (isOver(response)) {
      // The reader disconnected earlier, so `close` has already been emitted.
      queueMicrotask(() => this.#close('disconnected'))
      return
    }
    this.#heartbeat.join(this)
    joinWrites(response)
    this.#write = openBody(response, () => {
      this.#blocked = false
      this.#wroteSinceBeat = true
      this.onDrain()
    })
    if (retry !== false) this.write(encodeEvent({ retry }))
  }

  /** The socket is full: wait for `onDrain` before the next write. */
  get blocked(): boolean {
    return this.#blocked
  }

  get closed(): boolean {
    return this.#end !== undefined
  }

  /** Writes whole frames; returns false when the socket is now full. */
  write(frames: Payload | string): boolean {
    if (this.#end !== undefined) return false
    const payload = typeof frames === 'string' ? new Payload(frames) : frames
    // Some protocols encode some events as no frame, and an empty HTTP chunk would end the body.
    if (payload.byteLength > 0) {
      this.#wroteSinceBeat = true
      this.#blocked = !this.#write(payload)
    }
    return !this.#blocked
  }

  /** Ends the response after all frames. */
  end(): void {
    if (this.#end !== undefined || this.#ending) return
    this.#ending = true
    this.#response.end(() => this.#close('finished'))
  }

  /** Breaks the response off after all writes are sent, so that no reader takes it for complete. */
  cut(): void {
    this.#ending = true
    cutOffAfterWrites(this.#response)
  }

  beat(now: number): void {
    if (this.#wroteSinceBeat) {
      this.#wroteSinceBeat = false
      this.#since = now
    } else if (this.#blocked || this.#ending) {
      if (now - this.#since < this.#slowReaderMs) return
      this.#close('stalled')
      dropReader(this.#response)
    } else if (now - this.#since >= this.#heartbeatMs) {
      this.write(this.#comment)
      this.#onHeartbeat?.()
    }
  }

  #close(end: EventStreamEnd): void {
    if (this.#end !== undefined) return
    this.#end = end
    this.#heartbeat.leave(this)
    this.onClose(end)
  }
}

/** What `eventStream` needs of a Koa context, so that an app may have any version of Koa's types. */
export interface EventStreamContext extends ReaderRequest {
  readonly method: string
  readonly res: ServerResponse
  status: number
  respond?: boolean | undefined
  set(header: string, value: string): void
}

/** An event of a source. */
export interface SourceEvent extends EventFields {
  /**
   * The last event: the stream ends, and a reader that reconnects receives 204. Without it, an `EventSource` reconnects
   * forever.
   */
  last?: boolean
}

/** Called for each reader, with the id of the last event that it has seen: the empty string when there is none. */
export type SourceFunction = (signal: AbortSignal, lastEventId: string) => AsyncIterable<SourceEvent>

/** Events of an app, in order. */
export type Source = AsyncIterable<SourceEvent> | SourceFunction

/** Suffix of a last event's id: the reader itself remembers that the stream has ended. */
const LAST_MARK = '#last'

/**
 * Responds to a Koa request with an event stream, in any Koa app:
 *
 *     await eventStream(ctx, async function* (signal, lastEventId) {
 *       for await (const price of pricesAfter(lastEventId, signal)) yield { id: price.id, data: price }
 *       yield { event: 'end', last: true }
 *     })
 *
 * A source that returns without a `last` event ends this response only: an `EventSource` comes back, with its
 * `lastEventId`. After a `last` event it is answered with 204, and does not come back again.
 *
 * Takes one item at a time from `source` and waits while the socket is full. When the reader disconnects, the source's
 * `return` is called and `eventStream` settles without waiting for it. A generator that is waiting does not notice
 * `return`: make `source` a function, and end the wait with the signal it receives. Rejects when the source throws;
 * earlier events have been sent, and the connection is broken off so that no reader takes the stream for complete.
 */
export async function eventStream(
  ctx: EventStreamContext,
  source: Source,
  options: EventStreamOptions = {},
): Promise<EventStreamEnd> {
  const lastEventId = readLastEventId(ctx)?.value ?? ''
  if (lastEventId.endsWith(LAST_MARK)) {
    ctx.status = 204
    ctx.set('Cache-Control', 'no-store')
    return 'finished'
  }
  ctx.respond = false
  ctx.res.statusCode = 200
  const writer = new EventStreamWriter(ctx.res, options)
  const abort = new AbortController()
  // A wait ends with its result or with the connection. One promise per wait: racing a promise that lives as long as
  // the connection would keep every earlier wait in memory.
  let interrupt: ((end: EventStreamEnd) => void) | undefined
  const ended = new Promise<EventStreamEnd>((resolve) => {
    writer.onClose = (end) => {
      abort.abort(new Error(`The event stream is over: ${end}`))
      interrupt?.(end)
      resolve(end)
    }
  })
  const untilClosed = <T>(start: (resolve: (value: T) => void, reject: (error: unknown) => void) => void) =>
    new Promise<T | EventStreamEnd>((resolve, reject) => {
      interrupt = resolve
      start(resolve, reject)
    })

  if (ctx.method === 'HEAD') {
    writer.end()
    return ended
  }
  let events: AsyncIterator<SourceEvent> | undefined
  try {
    events = (typeof source === 'function' ? source(abort.signal, lastEventId) : source)[Symbol.asyncIterator]()
    const next = events.next.bind(events)
    while (!writer.closed) {
      const item = await untilClosed<IteratorResult<SourceEvent>>((resolve, reject) => {
        next().then(resolve, reject)
      })
      if (typeof item === 'string') break
      if (item.done) {
        writer.end()
        return await ended
      }
      if (item.value.last) {
        writer.write(encodeEvent({ ...item.value, id: `${item.value.id ?? ''}${LAST_MARK}` }))
        writer.end()
        break
      }
      if (!writer.write(encodeEvent(item.value)) && !writer.closed) {
        await untilClosed<void>((resolve) => {
          writer.onDrain = resolve
        })
      }
    }
  } catch (error) {
    writer.cut()
    stop(events)
    throw error
  }
  stop(events)
  return ended
}

/** Lets the source clean up, without waiting for a stuck source. */
function stop(events: AsyncIterator<unknown> | undefined): void {
  events?.return?.().then(undefined, () => {})
}

const heartbeats = new Map<number, Heartbeat>()

function sharedHeartbeat(heartbeatMs: number, slowReaderMs: number): Heartbeat {
  const tickMs = tickFor(heartbeatMs, slowReaderMs)
  let heartbeat = heartbeats.get(tickMs)
  if (!heartbeat) heartbeats.set(tickMs, (heartbeat = new Heartbeat(tickMs)))
  return heartbeat
}

/** A tenth of the shorter period, from 5 ms to a second. */
export function tickFor(...periodsMs: number[]): number {
  return Math.max(5, Math.min(1000, Math.min(...periodsMs) / 10))
}
