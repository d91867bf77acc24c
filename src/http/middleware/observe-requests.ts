// A span and a line in the log for each request.

import { SpanKind, SpanStatusCode, trace, type Span } from '@opentelemetry/api'
import { redactPath, streamDigest } from '../../telemetry/redact.ts'
import { continueTrace, isTraced, tracer } from '../../telemetry/tracing.ts'
import type { RequestContext } from '../context.ts'
import { loggedAddress } from './request-state.ts'
import type { Logger } from '../../telemetry/logger.ts'

/**
 * Starts a span for a request, which lasts until the response is over, and sets the trace context for its work. Paths
 * that machines poll (`quiet`) get no span.
 * https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span
 */
export function traceRequest(context: RequestContext, quiet: ReadonlySet<string>): void {
  const outer = continueTrace(context.req.headers)
  context.state.trace = outer
  if (quiet.has(context.path)) return
  const { method, path, protocol } = context
  const attributes = { 'http.request.method': method, 'url.path': redactPath(path), 'url.scheme': protocol }
  const span = tracer.startSpan(method, { kind: SpanKind.SERVER, attributes }, outer.context)
  if (isTraced(span)) context.state.trace = { ...outer, context: trace.setSpan(outer.context, span) }
  // On `close`, not when the handlers return: the response has yet to be written then.
  if (span.isRecording()) context.res.once('close', () => endSpan(span, context))
}

function endSpan(span: Span, context: RequestContext): void {
  const { status, method, state, _matchedRoute: route } = context
  if (typeof route === 'string') {
    span.updateName(`${method} ${route}`)
    span.setAttribute('http.route', route)
  }
  span.setAttribute('http.response.status_code', status)
  if (state.streamId !== undefined) span.setAttribute('sluice.stream.digest', streamDigest(state.streamId))
  if (status >= 500) {
    span.setAttribute('error.type', state.errorCode ?? String(status))
    span.setStatus({ code: SpanStatusCode.ERROR })
  }
  span.end()
}

/** The fields that join a line with the others of its request and of its stream. */
export function joins({ state: { requestId, streamId } }: RequestContext) {
  return { request_id: requestId, stream: streamId === undefined ? undefined : streamDigest(streamId) }
}

/**
 * Logs one line when a request is over: for an event stream, once the last byte is sent or the reader has gone. Paths
 * that are requested often (`quiet`) are logged at debug level only.
 *
 * @param start when the request began, by `performance.now()`
 */
export function logRequest(context: RequestContext, logger: Logger, quiet: ReadonlySet<string>, start: number): void {
  const { streaming } = context.state
  if (streaming) void streaming.then(() => writeLine(context, logger, quiet, start))
  else writeLine(context, logger, quiet, start)
}

function writeLine(context: RequestContext, logger: Logger, quiet: ReadonlySet<string>, start: number): void {
  const { ended, errorCode, caller, ticket, address } = context.state
  const level = quiet.has(context.path) || context.state.quiet ? 'debug' : 'info'
  if (!logger.isLevelEnabled(level)) return
  logger[level](
    {
      ...joins(context),
      client: loggedAddress(address),
      method: context.method,
      path: redactPath(context.path),
      status: context.status,
      caller: ticket ? 'ticket' : caller.principal.name,
      ended,
      error: errorCode,
      duration_ms: Math.round(performance.now() - start),
    },
    'request',
  )
}
