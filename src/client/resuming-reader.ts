import type { Done } from '../stream/events.ts'
import { reportTo, type ActivityListener, type Report } from './activity.ts'
import { cancelStream } from './cancel-stream.ts'
import { readEvent } from './chat-event.ts'
import { SluiceClientError } from './client-error.ts'
import { EventLog, type Ending } from './event-log.ts'
import type { Frame } from './frame-decoder.ts'
import { GatewayConnection, uploadMs } from './gateway-connection.ts'
import {
  CANCELLED,
  decide,
  endingOf,
  type Next,
  type Disconnect,
  type ReconnectPolicy,
  type ReconnectState,
} from './reconnect.ts'
import { createRequest, readHeartbeat, readStreamId, resumeRequest, type Send } from './requests.ts'
import { isOffline } from './unreachable.ts'
import { deferred, pause, quiet, watchPage } from './waiting.ts'

/** A stream to create, or one to join. */
export type WantedStream = { body: string; key: string } | { id: string; after: number }

export interface ReaderOptions {
  send: Send
  policy: ReconnectPolicy
  /** Overrides the gateway's own `Sluice-Heartbeat`, in milliseconds. */
  heartbeatMs: number | undefined
  signal: AbortSignal | undefined
  onActivity: ActivityListener | undefined
}

/** The heartbeat of a gateway that has not stated it yet, in milliseconds. */
const USUAL_HEARTBEAT_MS = 8_000

/** Mobile networks fall silent for seconds, however short the gateway's heartbeat is. */
const LEAST_HEARTBEAT_MS = 3_000

/** After a `DELETE`: how long `done` may take to arrive on a connection that may be dead, in milliseconds. */
const FAREWELL_MS = 1000

/** How a stream ends when its node has gone. */
const NODE_GONE = new Set<unknown>(['gateway_shutdown', 'producer_lost'])

const UNNAMED = { code: 'cancelled', message: 'Cancelled without an id.', retryable: false }

/** One reader: a cursor that follows a stream across connections, and fills its own log. */
export class ResumingReader {
  readonly log = new EventLog()
  readonly #options: ReaderOptions
  readonly #report: Report
  readonly #state: ReconnectState
  readonly #asked: WantedStream
  #wanted: WantedStream
  #heartbeatMs: number
  #id = deferred<string>()
  /** When the wait for a first response began; undefined once there has been one. */
  #askedAt: number | undefined = performance.now()
  /** The seq of the last event in the log; at first, the starting cursor. */
  #cursor: number
  #connection: GatewayConnection | undefined
  /**
   * Skips the pause before the next connection. May be aborted early: a page may become visible before its loss is
   * noticed.
   */
  #hurry = new AbortController()
  /** Aborted when the log has ended. */
  readonly #over = new AbortController()

  constructor(wanted: WantedStream, options: ReaderOptions) {
    this.#options = options
    this.#heartbeatMs = options.heartbeatMs ?? USUAL_HEARTBEAT_MS
    this.#report = reportTo(options.onActivity)
    this.#wanted = this.#asked = wanted
    const created = 'id' in wanted
    this.#cursor = created ? wanted.after : 0
    this.#state = { failures: 0, retryMs: 1000, created }
    void quiet(this.#id.promise)
    if (created) this.#id.resolve(wanted.id)
    this.#watch(options.signal)
    this.#run().catch((error: unknown) => this.#leave({ as: 'failed', error }))
  }

  /** The stream's id, as soon as the gateway has given it one. */
  get id(): Promise<string> {
    return this.#id.promise
  }

  /** Ends the stream for all readers. @throws SluiceClientError when the cancel request failed */
  async cancel(): Promise<void> {
    const { ending } = this.log
    if (ending && ending.as !== 'aborted') return
    this.#state.cancelling = true
    if (!this.#state.created && !this.#connection) this.#leave(CANCELLED)
    const id = await this.#id.promise.catch(() => undefined)
    if (id === undefined) return
    if (!(await cancelStream(id, this.log, this.#over.signal, { ...this.#options, silenceMs: this.#silenceMs })))
      this.#leave(CANCELLED)
    this.#hurry.abort()
    await pause(FAREWELL_MS, this.#over.signal)
    if (!this.log.ending) this.#connection?.drop({ type: 'lost' })
    await this.log.ended
  }

  async #run(): Promise<void> {
    while (!this.log.ending) {
      const outcome = await this.#connect()
      if (this.log.ending) return
      this.#state.failures += 1
      this.#report({ type: 'disconnect', reason: outcome.type, error: causeOf(outcome) })
      this.#state.unansweredMs = this.#unansweredMs
      const next = decide(this.#state, outcome, this.#options.policy)
      if ('end' in next) this.#leave(next.end)
      else await this.#pauseBefore(next)
    }
  }

  async #connect(): Promise<Disconnect> {
    const wanted = this.#wanted
    // To request the event at the cursor again, ask for events after the one before it.
    const after = this.#state.rereading ? this.#cursor - 1 : this.#cursor
    const request = 'id' in wanted ? resumeRequest(wanted.id, after) : createRequest(wanted.body, wanted.key)
    // Before the report: a listener may leave the stream at once.
    const connection = (this.#connection = new GatewayConnection())
    this.#hurry = new AbortController()
    this.#report({ type: 'request', method: request.method, after })
    const outcome = await connection.run(this.#options.send, request, this.#handlers, this.#silenceMs)
    this.#connection = undefined
    return outcome
  }

  /** The longest allowed silence of a connection, in milliseconds. */
  readonly #silenceMs = () =>
    Math.min(3 * this.#heartbeatMs, this.#askedAt === undefined ? Infinity : this.#options.policy.firstResponseMs)

  get #unansweredMs(): number | undefined {
    if (this.#askedAt === undefined || isOffline()) return undefined
    return performance.now() - this.#askedAt - uploadMs('body' in this.#wanted ? this.#wanted.body : '')
  }

  readonly #handlers = {
    onResponse: ({ status }: Response) => {
      this.#askedAt = undefined
      this.#report({ type: 'response', status })
    },
    onOpen: (response: Response) => this.#onOpen(response),
    onFrame: (frame: Frame) => this.#onFrame(frame),
    onBytes: (bytes: number) => {
      // The page event concerned this connection, which has since turned out to be alive.
      if (this.#hurry.signal.aborted) this.#hurry = new AbortController()
      this.#report({ type: 'bytes', bytes })
    },
    onComment: () => {
      // While a provider is silent, heartbeats show that the connection works.
      this.#state.failures = 0
      this.#report({ type: 'heartbeat' })
    },
    onRetry: (ms: number) => {
      this.#state.retryMs = ms
    },
  }

  #onOpen(response: Response): void {
    const stated = readHeartbeat(response)
    if (stated > 0 && this.#options.heartbeatMs === undefined) this.#heartbeatMs = Math.max(stated, LEAST_HEARTBEAT_MS)
    this.#state.opened = true
    if (this.#state.created) return
    const id = readStreamId(response)
    this.#wanted = { id, after: 0 }
    this.#state.created = true
    this.#id.resolve(id)
  }

  #onFrame(frame: Frame): void {
    if (this.log.ending) return
    const event = readEvent(frame)
    if (!event) return
    if (event.type === 'done' && this.#cursor === 0) this.#askAgainIfGone(event)
    const covers = Math.max(0, event.seq - this.#cursor)
    if (covers > 0) {
      this.#cursor = event.seq
      this.#state.failures = 0
      this.log.append(event)
    }
    this.#report({ type: 'frame', event, covers })
    if (event.type === 'done') this.#end(endingOf(event))
  }

  /** @throws SluiceClientError when the node was gone before it sent anything: the same `POST` starts the answer elsewhere */
  #askAgainIfGone(done: Done): void {
    const ending = endingOf(done)
    if (!('body' in this.#asked && 'error' in ending && NODE_GONE.has(done.error?.code))) return
    this.#wanted = this.#asked
    this.#state.created = false
    this.#id = deferred()
    void quiet(this.#id.promise)
    throw ending.error
  }

  async #pauseBefore({ resumeAfterMs, reread = false }: Exclude<Next, { end: Ending }>): Promise<void> {
    this.#state.rereading ||= reread
    this.#report({ type: 'reconnect', attempt: this.#state.failures, delayMs: resumeAfterMs })
    if (!this.log.ending) await pause(resumeAfterMs, this.#hurry.signal)
  }

  #watch(signal: AbortSignal | undefined): void {
    const onAbort = () => this.#leave({ as: 'aborted', error: signal?.reason })
    const onOnline = () => {
      this.#state.failures = 0
      if (this.#askedAt) this.#askedAt = performance.now()
      this.#connection?.drop({ type: 'network-changed' })
      this.#hurry.abort()
    }
    watchPage({ onOnline, onVisible: () => this.#hurry.abort() }, this.#over.signal)
    signal?.addEventListener('abort', onAbort, { signal: this.#over.signal })
    if (signal?.aborted) onAbort()
  }

  /** Ends at once, without the gateway's `done`. */
  #leave(ending: Ending): void {
    if (this.log.ending) return
    if ('done' in ending) this.log.append({ ...ending.done, seq: this.#cursor + 1 })
    this.#end(ending)
    this.#connection?.drop({ type: 'lost' })
  }

  /** Does not close the connection: once the response ends, the connection can be reused. */
  #end(ending: Ending): void {
    if (this.log.ending) return
    this.log.end(ending)
    this.#id.reject('error' in ending ? ending.error : new SluiceClientError(UNNAMED))
    this.#over.abort()
    this.#hurry.abort()
    this.#report({ type: 'end', as: ending.as })
  }
}

function causeOf(outcome: Disconnect): unknown {
  if ('error' in outcome) return outcome.error
  return 'cause' in outcome ? outcome.cause : undefined
}
