// What handlers and middleware are given: the context of their request, and the parts of the gateway.

import type { DefaultState, Middleware, ParameterizedContext } from 'koa'
import type { Protocol, ProtocolTable } from '../protocols/protocol.ts'
import type { Authenticator } from '../access/authenticator.ts'
import type { Caller } from '../access/caller.ts'
import type { Grant, Tickets } from '../access/tickets.ts'
import type { Limiter } from '../access/limiter.ts'
import type { Hold, Budget } from '../store/budget.ts'
import type { Trace } from '../telemetry/tracing.ts'
import type { Config } from '../config.ts'
import type { ModelCatalog } from '../routing/model-catalog.ts'
import type { Router } from '../routing/router.ts'
import type { Heartbeat } from '../sse/heartbeat.ts'
import type { Backplane } from '../store/backplane/backplane.ts'
import type { StreamStore } from '../store/stream-store.ts'
import type { FlushTimer } from '../stream/event-loop.ts'
import type { Generations } from '../stream/generation.ts'
import type { InFlight } from './in-flight.ts'
import type { LoadGate } from './load-gate.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Accounts } from '../usage/accounts.ts'
import type { UsageLedger } from '../usage/ledger.ts'
import type { AttemptRecorder } from '../telemetry/observe-routing.ts'
import type { ReaderCells } from '../telemetry/observe-streams.ts'

/** State of a request, shared by middleware and handlers. */
export interface RequestState extends DefaultState {
  requestId: string
  /** The identity that makes the request. Only the owner of a stream can find it. */
  caller: Caller
  /** A ticket took the place of the caller's key: it opens this stream of any owner. */
  ticket?: Grant
  /** From where it comes, as its socket or the trusted proxy says; may be any text. */
  address: string
  /** To which memory is charged: the key or the subject of a token, or, where everybody is the same caller, the client's address. */
  client: string
  /** Memory of the request's body, until the generation takes it over. */
  prompt?: Hold | undefined
  /** Memory of a whole response, until it has been sent. */
  unread?: Hold | undefined
  /** Renders this request's errors. */
  protocol: Protocol
  /** Trace context for the work that this request starts. */
  trace: Trace
  streamId?: string
  /** Resolves when the response's event stream is over, long after the handlers have returned. */
  streaming?: Promise<void>
  /** How an event stream ended, for the log line. */
  ended?: string
  errorCode?: string
  /** Write the access log line at debug level only. */
  quiet?: boolean
}

export type RequestContext = ParameterizedContext<RequestState>
export type Handler = (context: RequestContext) => Promise<void> | void
export type RequestMiddleware = Middleware<RequestState>

/** What a new configuration replaces, all at once: later requests get other parts, and those that run keep theirs. */
export interface ReplaceableServices {
  readonly config: Config
  readonly authenticator: Authenticator
  readonly tickets: Tickets
  /** Holds callers to their limits. */
  readonly limiter: Limiter
  readonly router: Router
  /** The models that providers list by themselves. */
  readonly catalog: ModelCatalog
  /** Charges every use, and tells the parts that record it. */
  readonly accounts: Accounts
  /** Whether the gateway can take on more work. */
  readonly load: LoadGate
}

/** Dependencies of the handlers; assembled in `gateway.ts`. */
export interface Services extends ReplaceableServices {
  readonly protocols: ProtocolTable
  /** Records all attempts. */
  readonly routing: AttemptRecorder
  /** Usage by day, for `/v1/usage`. */
  readonly ledger: UsageLedger
  readonly store: StreamStore
  /** What this node shares with others; undefined when it is alone. */
  readonly backplane: Backplane | undefined
  readonly budget: Budget
  readonly generations: Generations
  /** Requests that are passed on now. */
  readonly forwards: InFlight
  readonly heartbeat: Heartbeat
  /** Delays deltas so that they coalesce; undefined when they are sent at once. */
  readonly flushTimer: FlushTimer | undefined
  readonly metrics: Metrics
  /** The metrics of all workers, as OpenMetrics if `open`; undefined where this process is the only one. */
  readonly sumMetrics?: ((open: boolean) => Promise<string>) | undefined
  /** What is open in the other workers; undefined where this process is the only one. */
  readonly elsewhere?: (() => { readonly connections: number; readonly streams: number }) | undefined
  /** The metric cells for a protocol's readers. */
  readonly readers: (protocol: string) => ReaderCells
  readonly logger: Logger
  /** When the gateway was created, in milliseconds since 1970. */
  readonly startedAt: number
  /** The gateway is shutting down: it finishes running streams and starts no new ones. */
  draining: boolean
}
