import type { ServerResponse } from 'node:http'
import type { Context } from 'koa'
import { encodeComment, encodeEvent, type EventFields } from './encode.ts'
import { Heartbeat, type HeartbeatListener } from './heartbeat.ts'
import { cutOffAfterWrites, dropReader, isOver } from './http2.ts'
import { Payload } from './payload.ts'
import { readLastEventId } from './last-event-id.ts'
import { openBody, type WriteBody } from './response-body.ts'

/** How a response ended: all was sent, the reader went away, or it did not read for too long. */
export type EventStreamEnd = 'finished' | 'disconnected' | 'stalled'

export interface EventStreamOptions {
  /** Silence on the connection, in milliseconds, after which a comment is sent. */
  heartbeatMs?: number
  /** How long a full socket may take to drain, in milliseconds, before the connection is closed. */
  slowReaderMs?: number
  /** Milliseconds that the reader should wait before it reconnects; by default 1000 to 3000, a new draw each time. */
  retry?: number | false
  /** What is sent on a silent connection; by default a comment. */
  comment?: string
  /** The timer to share; by default one for all responses of the process with the same periods. */
  heartbeat?: Heartbeat
  onHeartbeat?: () => void
}

/** Of every event stream. */
export const EVENT_STREAM_HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-cache, no-transform',
  'X-Accel-Buffering': 'no',
  'X-Content-Type-Options': 'nosniff',
}

const HEARTBEAT = encodeComment('heartbeat')

/**
 * Writes an SSE response: headers at once, whole frames, heartbeats when it is silent, and no more than one write
 * beyond what the socket takes. Whoever feeds it waits for `onDrain` while `blocked`, and stops at `onClose`.
 */
export class EventStreamWriter implements HeartbeatListener {
  readonly #response: ServerResponse
  #write: WriteBody = () => false
  readonly #heartbeat: Heartbeat
  readonly #heartbeatMs: number
  readonly #slowReaderMs: number
  readonly #comment: string
  readonly #onHeartbeat: (() => void) | undefined
  /** When the last beat found that something had been written, or that the socket had begun to block. */
  #since = performance.now()
  #wroteSinceBeat = true
  #blocked = false
  /** All that will be written has been. */
  #ending = false
  #end: EventStreamEnd | undefined
  /** The socket takes more. */
  onDrain: () => void = () => {}
  /** Nothing can be written any more; called once, also after `end`. */
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
    // A reader that resets the connection is no failure of ours: `close` follows and tells all there is to tell.
    response.on('error', () => {})
    if (isOver(response)) {
      // It went before we came, so `close` has been emitted already.
      queueMicrotask(() => this.#close('disconnected'))
      return
    }
    this.#heartbeat.join(this)
    this.#write = openBody(response, () => {
      this.#blocked = false
      this.#wroteSinceBeat = true
      this.onDrain()
    })
    if (retry !== false) this.write(encodeEvent({ retry }))
  }

  /** The socket is full: nothing should be written before `onDrain`. */
  get blocked(): boolean {
    return this.#blocked
  }

  get closed(): boolean {
    return this.#end !== undefined
  }

  /** Whole frames; false when the socket is full now. */
  write(frames: Payload | string): boolean {
    if (this.#end !== undefined) return false
    const payload = typeof frames === 'string' ? new Payload(frames) : frames
    // Some events make no frame in some protocols, and a chunk of HTTP without a byte is how a body ends.
    if (payload.byteLength > 0) {
      this.#wroteSinceBeat = true
      this.#blocked = !this.#write(payload)
    }
    return !this.#blocked
  }

  /** All frames have been written. */
  end(): void {
    if (this.#end !== undefined || this.#ending) return
    this.#ending = true
    this.#response.end(() => this.#close('finished'))
  }

  /** Cuts the connection once what was written has gone, so that no reader takes it for the whole. */
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

/** What a source yields. */
export interface SourceEvent extends EventFields {
  /**
   * Nothing follows, now or later: the stream ends with this event, and its reader is answered with 204 when it comes
   * back. Without it an `EventSource` reconnects for ever.
   */
  last?: boolean
}

/** Events of an app, in order; made for each reader, with what it has seen: the empty string when it names no event. */
export type Source =
  | AsyncIterable<SourceEvent>
  | ((signal: AbortSignal, lastEventId: string) => AsyncIterable<SourceEvent>)

/** At the end of the id of a last event: the reader itself remembers that there was nothing more. */
const LAST_MARK = '#last'

/**
 * Answers a Koa request with an event stream, for any Koa app: `await eventStream(ctx, events())`.
 *
 * Takes one item at a time from `source` and waits while the socket is full. When the reader goes away the source's
 * `return` is called and `eventStream` settles without waiting for it. A generator that waits for something does not
 * notice `return`: make `source` a function, and end that wait with the signal it is given. Rejects when the source
 * throws; what was written until then has been sent, and the connection is cut, so that no reader takes it for the whole.
 */
export async function eventStream(
  ctx: Context,
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
  // A wait ends by what it waits for or by the end of the connection. One promise a wait: racing a promise that
  // lives as long as the connection would keep every earlier wait in memory.
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

/** Lets the source clean up, without waiting for one that is stuck. */
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
