import { SpanKind, SpanStatusCode, trace, type Span } from '@opentelemetry/api'
import { redactPath, streamDigest } from '../../telemetry/stream-digest.ts'
import { continueTrace, tracer } from '../../telemetry/tracing.ts'
import type { RequestContext, RequestMiddleware } from '../context.ts'

export interface TraceOptions {
  /** Paths that machines poll: they get no span. */
  quiet?: readonly string[]
}

/**
 * Starts a span for each request, which lasts until the response is over, and sets the trace context for its work.
 * https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span
 */
export function traceRequests({ quiet = [] }: TraceOptions = {}): RequestMiddleware {
  return async (context, next) => {
    const outer = continueTrace(context.headers)
    context.state.trace = outer
    if (quiet.includes(context.path)) return next()
    const { method, path, protocol } = context
    const attributes = { 'http.request.method': method, 'url.path': redactPath(path), 'url.scheme': protocol }
    const span = tracer.startSpan(method, { kind: SpanKind.SERVER, attributes }, outer.context)
    context.state.trace = { ...outer, context: trace.setSpan(outer.context, span) }
    // On `close`, not when the handlers return: the response has yet to be written then.
    if (span.isRecording()) context.res.once('close', () => endSpan(span, context))
    await next()
  }
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
