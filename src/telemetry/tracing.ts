import type { IncomingHttpHeaders } from 'node:http'
import {
  isSpanContextValid,
  propagation,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  trace,
  type Context,
  type Span,
} from '@opentelemetry/api'
import { VERSION } from '../version.ts'

/** A no-op until an OpenTelemetry SDK is registered: https://opentelemetry.io/docs/specs/otel/overview/#api */
export const tracer = trace.getTracer('sluice', VERSION)

/**
 * Trace context, passed explicitly: AsyncLocalStorage would make every promise more expensive, and each token costs
 * one.
 */
export interface Trace {
  readonly context: Context
  /** The client's trace headers, forwarded when no SDK is registered. */
  readonly incoming: TraceHeaders
}

export type TraceHeaders = Readonly<Record<string, string>>

/** The trace of a request, if its client has started one. */
export function continueTrace(headers: IncomingHttpHeaders): Trace {
  return { context: propagation.extract(ROOT_CONTEXT, headers), incoming: readHeaders(headers) }
}

/** Whether a span belongs to a trace: without an SDK, none does. */
export function isTraced(span: Span): boolean {
  return isSpanContextValid(span.spanContext())
}

/**
 * Headers that propagate the trace to an upstream. Without an SDK the client's headers are forwarded, so that the trace
 * stays connected: https://www.w3.org/TR/trace-context/. Baggage is not forwarded: it is not meant for a provider.
 */
export function traceHeaders({ context, incoming }: Trace): TraceHeaders {
  const headers: Record<string, string> = {}
  propagation.inject(propagation.deleteBaggage(context), headers)
  return Object.keys(headers).length > 0 ? headers : incoming
}

const TRACEPARENT = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/

/** Length that every implementation should propagate: https://www.w3.org/TR/trace-context/#tracestate-limits */
const MAX_TRACESTATE = 512

function readHeaders({ traceparent, tracestate }: IncomingHttpHeaders): TraceHeaders {
  if (typeof traceparent !== 'string' || !TRACEPARENT.test(traceparent)) return {}
  const state = Array.isArray(tracestate) ? tracestate.join(',') : tracestate
  return { traceparent, ...(state !== undefined && state.length <= MAX_TRACESTATE && { tracestate: state }) }
}

/** Flushes the SDK's pending spans, if an SDK is registered, before the process ends. */
export async function flushSpans(): Promise<void> {
  const registered = trace.getTracerProvider()
  const provider = registered instanceof ProxyTracerProvider ? registered.getDelegate() : registered
  if ('forceFlush' in provider && typeof provider.forceFlush === 'function') await provider.forceFlush()
}
