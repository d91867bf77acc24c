// What metrics, logs and traces say of attempts.

import { SpanKind, SpanStatusCode, trace, type Attributes, type Span } from '@opentelemetry/api'
import type { ChatInput } from '../chat-request.ts'
import type { SluiceError } from '../errors.ts'
import type { CatalogObserver } from '../routing/model-catalog.ts'
import type { AttemptObserver, RoutingObserver } from '../routing/observer.ts'
import type { Target } from '../routing/target.ts'
import type { Done } from '../stream/events.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'
import { describeCause, type DescribeError } from './describe-error.ts'
import { streamDigest } from './redact.ts'
import { isTraced, traceHeaders, tracer, type Trace } from './tracing.ts'

/** By what the lines of an attempt are found. */
export interface AttemptIdentity {
  requestId: string
  /** Absent when the answer is no stream. */
  streamId?: string | undefined
  /** From 1, over all targets of the request. */
  attempt: number
}

/** Records the attempts of all requests. */
export interface AttemptRecorder extends Pick<RoutingObserver, 'retried'> {
  started(target: Target, identity: AttemptIdentity): AttemptObserver
}

/** Records routing metrics, and logs each failed attempt, since a fallback hides it from the client. */
export function observeRouting(metrics: Metrics, logger: Logger, describe: DescribeError): AttemptRecorder {
  return {
    started: ({ name: target, provider: { name: provider } }, identity) => {
      const startedAt = performance.now()
      return {
        answered() {},
        ended(error) {
          const code = error?.code ?? 'ok'
          metrics.cell('upstream_requests_total', { provider, code }).add()
          if (!error || code === 'cancelled') return
          metrics.cell('upstream_errors_total', { provider, code }).add()
          const { requestId: request_id, streamId, attempt } = identity
          const stream = streamId === undefined ? undefined : streamDigest(streamId)
          const failure = { error: code, upstream_status: error.upstreamStatus, cause: describeCause(error) }
          // A bug in a module, which nobody is told but its author, here.
          const err = code === 'provider_failed' && error.cause !== undefined ? describe(error.cause) : undefined
          const duration_ms = Math.round(performance.now() - startedAt)
          logger.warn({ request_id, stream, attempt, target, ...failure, err, duration_ms }, 'attempt failed')
        },
      }
    },
    retried({ provider: { name: provider } }, reason) {
      metrics.cell('upstream_retries_total', { provider, reason }).add()
    },
  }
}

/** Logs a provider's list of models when it begins to fail, and when it is there again. */
export function observeCatalog(logger: Logger): CatalogObserver {
  return {
    failed: (provider, error) => {
      const { code, upstreamStatus: upstream_status } = error
      logger.warn({ provider, error: code, upstream_status, cause: describeCause(error) }, 'models cannot be listed')
    },
    recovered: (provider, models) => logger.info({ provider, models }, 'models are listed again'),
  }
}

/** The request for which attempts are made. Its span may be over before they are: a generation outlives its request. */
export interface TracedRequest {
  requestId: string
  trace: Trace
  streamId?: string
  /** A name of OpenTelemetry's where it has one. */
  operation?: string
  input: Options
}

/**
 * An observer that gives each attempt of a request a span, beside what `recorder` does.
 * https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
 */
export function traceAttempts(
  recorder: AttemptRecorder,
  { input: { max_tokens, max_completion_tokens, temperature, top_p }, ...request }: TracedRequest,
): RoutingObserver {
  // Only these fields, not the whole input: its text would stay in memory as long as the stream.
  const options = { max_tokens: max_completion_tokens ?? max_tokens, temperature, top_p }
  const { requestId, streamId } = request
  let attempt = 0
  return {
    started(target) {
      attempt += 1
      const observer = recorder.started(target, { requestId, streamId, attempt })
      return traceAttempt(observer, target, { ...request, options })
    },
    retried: (target, reason) => recorder.retried(target, reason),
  }
}

function traceAttempt(
  observer: AttemptObserver,
  { provider, model }: Target,
  {
    trace: { context, incoming },
    streamId,
    operation = 'chat',
    options,
  }: Omit<TracedRequest, 'input' | 'requestId'> & { options: Options },
): AttemptObserver {
  const attributes = {
    'gen_ai.operation.name': operation,
    'gen_ai.provider.name': provider.name,
    'gen_ai.request.model': model,
  }
  const span = tracer.startSpan(`${operation} ${model}`, { kind: SpanKind.CLIENT, attributes }, context)
  if (!isTraced(span)) return { ...observer, traceHeaders: incoming }
  const startedAt = performance.now()
  if (span.isRecording())
    span.setAttributes({
      ...(streamId !== undefined && { 'sluice.stream.digest': streamDigest(streamId) }),
      ...requestAttributes(options),
    })
  return {
    traceHeaders: traceHeaders({ context: trace.setSpan(context, span), incoming }),
    answered() {
      observer.answered()
      if (span.isRecording())
        span.setAttribute('gen_ai.response.time_to_first_chunk', (performance.now() - startedAt) / 1000)
      for (const each of [span, trace.getSpan(context)]) if (each?.isRecording()) each.addEvent('first_token')
    },
    ended(error, done) {
      observer.ended(error, done)
      if (span.isRecording()) describeEnd(span, error, done)
      span.end()
    },
  }
}

type Options = Pick<ChatInput, 'max_tokens' | 'max_completion_tokens' | 'temperature' | 'top_p'>

function requestAttributes({ max_tokens, temperature, top_p }: Options): Attributes {
  return withoutGaps({
    'gen_ai.request.stream': true,
    'gen_ai.request.max_tokens': max_tokens,
    'gen_ai.request.temperature': temperature,
    'gen_ai.request.top_p': top_p,
  })
}

/** Records only the code of a failure: its message may quote a prompt. */
function describeEnd(span: Span, error: SluiceError | undefined, done: Done | undefined): void {
  const finishReason = error?.code === 'cancelled' ? 'cancelled' : done?.finish_reason
  span.setAttributes(
    withoutGaps({
      'gen_ai.response.model': done?.model,
      'gen_ai.response.finish_reasons': finishReason && [finishReason],
      'gen_ai.usage.input_tokens': done?.usage?.prompt_tokens,
      'gen_ai.usage.output_tokens': done?.usage?.completion_tokens,
    }),
  )
  // The gateway aborted the attempt: not an error of the upstream.
  if (!error || error.code === 'cancelled') return
  span.setAttributes(withoutGaps({ 'error.type': error.code, 'http.response.status_code': error.upstreamStatus }))
  span.setStatus({ code: SpanStatusCode.ERROR })
}

type Known<T> = { [K in keyof T]: Exclude<T[K], null | undefined> }

function withoutGaps<T extends Record<string, unknown>>(attributes: T): Partial<Known<T>>
function withoutGaps(attributes: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined && value !== null))
}
