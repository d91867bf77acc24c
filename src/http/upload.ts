import { invalidField, SluiceError } from '../errors.ts'
import type { Forwardable } from '../routing/forward.ts'
import { untilAborted } from '../routing/until-aborted.ts'
import type { Heartbeat, HeartbeatListener } from '../sse/heartbeat.ts'
import { whenOver } from '../sse/http2.ts'
import type { Budget, Hold } from '../store/budget.ts'
import type { RequestContext } from './context.ts'
import { FormScanner, readBoundary } from './multipart.ts'

/** A chunk in memory, beside its bytes. */
const CHUNK_BYTES = 256

/** Reserved for bytes on their way, whatever the size of the upload. */
const TRANSIT_BYTES = 128 * 1024

export interface UploadOptions {
  /** Largest body in bytes. */
  limit: number
  budget: Budget
  heartbeat: Heartbeat
  /** Milliseconds in which the next 16 KiB, or the end, must arrive. */
  slowBodyMs: number
  /** Aborts the request. */
  abort: AbortController
}

/**
 * A form with files that is passed on while it arrives. It is kept only up to the field with the model, which decides
 * where it goes; clients often send it after the file. Until more has been read than is kept, it can be sent again.
 */
export class Upload implements Pick<Forwardable, 'bodyFor' | 'spent'> {
  /** The rest has begun to be read: the upload cannot be sent again. */
  spent = false
  readonly hold: Hold
  readonly #context: RequestContext
  readonly #options: UploadOptions
  readonly #scanner: FormScanner
  readonly #pace: UploadPace
  readonly #chunks: AsyncIterator<Buffer>
  #kept: Buffer[] = []
  #ended = false

  /** @throws SluiceError for a body that is no form, or too large */
  constructor(context: RequestContext, options: UploadOptions) {
    const { budget, limit, heartbeat, slowBodyMs, abort } = options
    const boundary = readBoundary(context.get('Content-Type'))
    if (boundary === undefined)
      throw invalidField('unsupported_media_type', 'Content-Type', 'must be multipart/form-data for this request')
    if (!['', 'identity'].includes(context.get('Content-Encoding')))
      throw invalidField('unsupported_media_type', 'Content-Encoding', 'must be identity for a form')
    if ((context.request.length ?? 0) > limit) throw tooLarge(limit)
    this.#context = context
    this.#options = options
    this.#scanner = new FormScanner(boundary, 'model')
    this.#pace = new UploadPace(slowBodyMs, (error) => abort.abort(error))
    // The connection is still needed when the upload is left: for the response.
    this.#chunks = context.req.iterator({ destroyOnReturn: false })
    this.hold = budget.hold('requests', context.state.client, TRANSIT_BYTES)
    heartbeat.join(this.#pace)
    whenOver(context.res, () => heartbeat.leave(this.#pace))
  }

  /** Reads up to the model, or to the end. @throws SluiceError */
  async readModel(): Promise<string | undefined> {
    while (!this.#scanner.found) {
      const bytes = await this.#read()
      if (!bytes) break
      this.#kept.push(bytes)
      this.hold.become('requests', TRANSIT_BYTES + this.#pace.received + CHUNK_BYTES * this.#kept.length)
    }
    if (this.#ended && !this.#scanner.over) throw new SluiceError('invalid_request', 'The form is incomplete.')
    return this.#scanner.found?.value
  }

  /** The form with this model, if it names one. */
  bodyFor(model: string): { body: AsyncIterable<Uint8Array>; contentLength: number | undefined } {
    const { found } = this.#scanner
    const length = this.#ended ? this.#pace.received : this.#context.request.length
    const named = Buffer.from(model)
    const growth = found ? named.length - (found.end - found.start) : 0
    return { body: this.#send(named), contentLength: length === undefined ? undefined : length + growth }
  }

  /** Nothing is sent again: frees what was kept. */
  release(): void {
    this.#kept = []
    this.hold.release()
  }

  async *#send(model: Buffer): AsyncGenerator<Uint8Array> {
    const kept = this.#kept
    const { found } = this.#scanner
    yield* slice(kept, 0, found?.start ?? Infinity)
    if (!found) return
    yield model
    yield* slice(kept, found.end, Infinity)
    while (!this.#ended) {
      this.spent = true
      const bytes = await this.#read()
      if (bytes) yield bytes
    }
  }

  /** The next bytes, undefined at the end. A form that turns out to be wrong aborts the whole request. */
  async #read(): Promise<Buffer | undefined> {
    const { limit, heartbeat, abort } = this.#options
    const pace = this.#pace
    try {
      pace.waiting = true
      const next = await untilAborted(this.#chunks.next(), abort.signal)
      pace.waiting = false
      if (!next.done) {
        pace.received += next.value.length
        if (pace.received > limit) throw tooLarge(limit)
        this.#scanner.push(next.value)
      }
      // The last byte is enough: the event of the end may come later.
      this.#ended = next.done === true || pace.received === this.#context.request.length
      if (this.#ended) heartbeat.leave(pace)
      return next.done ? undefined : next.value
    } catch (error) {
      abort.abort(error)
      throw error
    }
  }
}

function* slice(chunks: readonly Buffer[], from: number, to: number): Generator<Buffer> {
  let start = 0
  for (const chunk of chunks) {
    const part = chunk.subarray(Math.max(0, from - start), Math.max(0, to - start))
    if (part.length > 0) yield part
    start += chunk.length
  }
}

function tooLarge(limit: number): SluiceError {
  return new SluiceError('body_too_large', `The upload is larger than ${limit} bytes.`)
}

/** Bytes that must arrive in each period: less than any usable network carries. */
const BYTES_PER_PERIOD = 16 * 1024

/** Fails an upload that comes too slowly. */
class UploadPace implements HeartbeatListener {
  /** The client is waited for, not the upstream. */
  waiting = false
  received = 0
  readonly #periodMs: number
  readonly #fail: (error: SluiceError) => void
  #periodStart = performance.now()
  #receivedBefore = 0

  constructor(periodMs: number, fail: (error: SluiceError) => void) {
    this.#periodMs = periodMs
    this.#fail = fail
  }

  beat(now: number): void {
    if (this.waiting && now - this.#periodStart < this.#periodMs) return
    if (this.waiting && this.received - this.#receivedBefore < BYTES_PER_PERIOD)
      this.#fail(new SluiceError('request_timeout', 'The body of the request came too slowly.'))
    this.#receivedBefore = this.received
    this.#periodStart = now
  }
}
