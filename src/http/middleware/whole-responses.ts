// Whole responses: their memory is counted from the rendering until they have been sent, slice by slice.

import { Readable } from 'node:stream'
import { Hold, type Budget, storeFull } from '../../store/budget.ts'
import type { RequestContext } from '../context.ts'
import type { StreamLog } from '../../stream/stream-log.ts'
import type { HeartbeatListener, Heartbeat } from '../../sse/heartbeat.ts'
import { dropReader, isOver, type AnyResponse } from '../../sse/http2.ts'

/**
 * Renders JSON, and counts the memory of a whole response until it has been sent.
 *
 * @param always paths that get their response even when the memory is full
 * @throws SluiceError `store_full`
 */
export function countResponse(context: RequestContext, budget: Budget, always: ReadonlySet<string>): void {
  const { body, state } = context
  if (typeof body === 'object' && body !== null && !Buffer.isBuffer(body)) context.body = JSON.stringify(body)
  if (!context.length) return
  if (state.unread) return state.unread.resize('responses', context.length)
  state.unread = always.has(context.path)
    ? new Hold(budget, 'responses', state.client, context.length)
    : budget.hold('responses', state.client, context.length)
}

export interface RenderOptions {
  /** This request has paid for the generation: render the answer even when the memory is full. */
  paid: boolean
}

/**
 * Renders the whole answer of a log. Rendering takes several turns, so its memory is counted from the start, with the
 * log's size until its own is known.
 *
 * @throws SluiceError `store_full`, before anything is rendered
 */
export function renderResponse(
  { state }: RequestContext,
  budget: Budget,
  log: StreamLog,
  render: (log: StreamLog) => Promise<unknown>,
  { paid }: RenderOptions,
): Promise<unknown> {
  if (!paid && !budget.admits(state.client, log.bytes)) throw storeFull()
  state.unread = new Hold(budget, 'responses', state.client, log.bytes)
  return render(log)
}

/** Bytes that a reader must take within `slowReaderMs`. */
const SLICE_BYTES = 16 * 1024

export interface SendResponsesOptions {
  heartbeat: Heartbeat
  /** How long a full socket may take to drain, in milliseconds. */
  slowReaderMs: number
}

/** Prepares a whole response: uncacheable by default, in slices. Cuts off a caller that does not read it. */
export function prepareResponse(context: RequestContext, { heartbeat, slowReaderMs }: SendResponsesOptions): void {
  const { unread } = context.state
  if (context.respond === false) return unread?.release()
  const { body, res, length } = context
  // Nearly every response depends on a cursor, a caller or the time; cacheable ones set their own header.
  if (!res.headersSent && !res.hasHeader('Cache-Control')) context.set('Cache-Control', 'no-store')
  if ((typeof body !== 'string' && !Buffer.isBuffer(body)) || isOver(res)) return unread?.release()
  const sending = new Sending(res, slowReaderMs)
  heartbeat.join(sending)
  res.on('close', () => {
    heartbeat.leave(sending)
    unread?.release()
  })
  if (context.method === 'HEAD' || length === undefined || length <= SLICE_BYTES) return
  // Sliced as bytes: slicing a string would keep both.
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  context.body = Readable.from(sending.slices(bytes), { objectMode: false })
  context.length = length
}

/** A response that is being sent. */
class Sending implements HeartbeatListener {
  readonly #response: AnyResponse
  readonly #slowReaderMs: number
  /** When the socket last took a slice. */
  #since = performance.now()

  constructor(response: AnyResponse, slowReaderMs: number) {
    this.#response = response
    this.#slowReaderMs = slowReaderMs
  }

  /** Each slice is taken once the ones before it are in the socket. */
  *slices(bytes: Buffer): Generator<Buffer> {
    for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
      this.#since = performance.now()
      yield bytes.subarray(at, at + SLICE_BYTES)
    }
    this.#since = performance.now()
  }

  beat(now: number): void {
    // An earlier response still uses the connection (pipelining).
    if (this.#response.socket === null) this.#since = now
    else if (now - this.#since >= this.#slowReaderMs) dropReader(this.#response)
  }
}
