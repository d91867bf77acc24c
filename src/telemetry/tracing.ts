import type { IncomingHttpHeaders } from 'node:http'
import { propagation, ProxyTracerProvider, ROOT_CONTEXT, trace, type Context } from '@opentelemetry/api'
import { VERSION } from '../version.ts'

/** Does nothing until somebody registers an SDK: https://opentelemetry.io/docs/specs/otel/overview/#api */
export const tracer = trace.getTracer('sluice', VERSION)

/**
 * Where in a trace something happens. Handed on as a value: what finds it by itself (AsyncLocalStorage) makes every
 * promise dearer, of which each token costs one.
 */
export interface Trace {
  readonly context: Context
  /** The client's own headers, for when nobody here traces. */
  readonly incoming: TraceHeaders
}

export type TraceHeaders = Readonly<Record<string, string>>

/** The trace that a request belongs to, if its client has begun one. */
export function continueTrace(headers: IncomingHttpHeaders): Trace {
  return { context: propagation.extract(ROOT_CONTEXT, headers), incoming: readHeaders(headers) }
}

/**
 * What tells an upstream of the trace. Without an SDK the client's headers travel on, so that the trace does not break
 * here: https://www.w3.org/TR/trace-context/. Baggage stays here: it was not meant for a provider.
 */
export function traceHeaders({ context, incoming }: Trace): TraceHeaders {
  const headers: Record<string, string> = {}
  propagation.inject(propagation.deleteBaggage(context), headers)
  return Object.keys(headers).length > 0 ? headers : incoming
}

const TRACEPARENT = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/

/** What its authors guarantee to be carried: https://www.w3.org/TR/trace-context/#tracestate-limits */
const MAX_TRACESTATE = 512

function readHeaders({ traceparent, tracestate }: IncomingHttpHeaders): TraceHeaders {
  if (typeof traceparent !== 'string' || !TRACEPARENT.test(traceparent)) return {}
  const state = Array.isArray(tracestate) ? tracestate.join(',') : tracestate
  return { traceparent, ...(state !== undefined && state.length <= MAX_TRACESTATE && { tracestate: state }) }
}

/** Has the SDK send what it holds, if there is one: the process is about to end without telling it. */
export async function flushSpans(): Promise<void> {
  const registered = trace.getTracerProvider()
  const provider = registered instanceof ProxyTracerProvider ? registered.getDelegate() : registered
  if ('forceFlush' in provider && typeof provider.forceFlush === 'function') await provider.forceFlush()
}
