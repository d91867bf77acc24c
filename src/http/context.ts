import type { DefaultState, Middleware, ParameterizedContext } from 'koa'
import type { Protocol } from '../protocols/protocol.ts'
import type { Hold } from '../store/budget.ts'
import type { Trace } from '../telemetry/tracing.ts'

/** State of a request, shared by middleware and handlers. */
export interface RequestState extends DefaultState {
  requestId: string
  /** The identity that makes the request. Only the owner of a stream can find it. */
  owner: string
  /** The client's address: memory limits are per address. */
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
