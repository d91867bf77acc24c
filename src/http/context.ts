import type { DefaultState, Middleware, ParameterizedContext } from 'koa'
import type { Protocol } from '../protocols/protocol.ts'
import type { Hold } from '../store/budget.ts'
import type { Trace } from '../telemetry/tracing.ts'

/** What middleware and handlers tell each other about a request. */
export interface RequestState extends DefaultState {
  requestId: string
  /** Who asks; streams are found by their owner alone. */
  owner: string
  /** The client's address: memory limits are per address. */
  client: string
  /** Memory of the request's body, until the generation takes it over. */
  prompt?: Hold | undefined
  /** Memory of a whole answer, until it has been sent. */
  unread?: Hold | undefined
  /** Renders this request's errors. */
  protocol: Protocol
  /** Where what this request starts belongs in a trace. */
  trace: Trace
  streamId?: string
  /** Resolves when the event stream that answers is over, long after the handlers have returned. */
  streaming?: Promise<void>
  /** How an event stream ended, for the log line. */
  ended?: string
  errorCode?: string
  /** Its log line is for debugging only. */
  quiet?: boolean
}

export type RequestContext = ParameterizedContext<RequestState>
export type Handler = (context: RequestContext) => Promise<void> | void
export type RequestMiddleware = Middleware<RequestState>
