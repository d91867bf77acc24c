import type { ChatRequest } from '../src/chat-request.ts'
import { hasBrand, SluiceError, type ErrorCode, type SluiceErrorOptions } from '../src/errors.ts'
import type { StreamEvent } from '../src/stream/events.ts'
import type { Pushing } from '../src/stream/source.ts'

export type { ChatRequest }
export type { Delta, Done, StreamEvent, ToolCallDelta, Usage } from '../src/stream/events.ts'

export interface ProviderContext {
  /** Aborted when the stream has ended for whatever reason: stop at once and release what is held. */
  readonly signal: AbortSignal
  readonly streamId: string
  /** What the configuration gives under `options`, as it stands there. */
  readonly options: Readonly<Record<string, unknown>>
  /** The key to use: one of those configured for this provider, chosen anew for each attempt. */
  readonly apiKey?: string | undefined
  /** Headers of the client's request that a provider of the same protocol passes on (`anthropic-beta`, …). */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Headers for the upstream request, that make it part of the trace it belongs to (`traceparent`, `tracestate`). */
  readonly traceHeaders?: Readonly<Record<string, string>> | undefined
  /** How long connecting may take, in milliseconds. */
  readonly connectTimeoutMs: number
}

/**
 * A source of tokens. An async generator method is all it takes:
 *
 * - yield a `delta`, or an array of them when one network read brought several;
 * - end with one `done`, or throw a `ProviderError`: an end without either is told to the reader as
 *   `upstream_truncated`, anything else that is thrown as `provider_failed`;
 * - stop promptly when `context.signal` is aborted.
 */
export interface Provider {
  readonly name: string
  /** The models it offers; any model whatsoever when absent. */
  readonly models?: readonly string[] | undefined
  /** Its failures are what the request asked for, and speak against nobody: no breaker counts them. */
  readonly exemptFromBreaker?: boolean | undefined
  /** Looks at a request before its stream exists; throws a `SluiceError` that names the field that is wrong. */
  check?(request: ChatRequest): void
  /** Returns an iterable, or, where a promise per token is too expensive, a source that pushes. */
  stream(request: ChatRequest, context: ProviderContext): AsyncIterable<StreamEvent | readonly StreamEvent[]> | Pushing
  /** Releases what outlives a stream (connection pools). */
  close?(): Promise<void>
}

/** Types a provider that lives outside this repository: the default export of its module. */
export function defineProvider(provider: Provider): Provider {
  return provider
}

const BRAND = Symbol.for('sluice.error.provider')

/** How a provider says that it failed: a stable code, and whether and when trying again makes sense. */
export class ProviderError extends SluiceError {
  override readonly name = 'ProviderError'

  constructor({ code, message, ...options }: { code: ErrorCode; message: string } & SluiceErrorOptions) {
    super(code, message, options)
  }

  get [BRAND](): true {
    return true
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return hasBrand(value, BRAND)
  }
}
