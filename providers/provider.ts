import type { ChatRequest } from '../src/chat-request.ts'
import { hasBrand, SluiceError, type ErrorCode, type SluiceErrorOptions } from '../src/errors.ts'
import type { StreamEvent } from '../src/stream/events.ts'
import type { Pushing } from '../src/stream/source.ts'
import type { StopSignal } from '../src/stream/stop-signal.ts'
import type { Wire } from '../src/wires/wire.ts'
import type { Vendor } from './vendors.ts'

export type { ChatRequest }
export type { Delta, Done, StreamEvent, ToolCallDelta, Usage } from '../src/stream/events.ts'

/** What an attempt is given, whatever it asks for. */
export interface AttemptContext {
  /** Aborted when the attempt is over for any reason: stop at once and release all resources. */
  readonly signal: AbortSignal
  /** The same as `signal`, which is made when it is read, and costs more. */
  readonly stopped?: StopSignal | undefined
  /** The provider's `options` in the configuration, unchanged. */
  readonly options: Readonly<Record<string, unknown>>
  /** The key for this attempt, drawn from the keys configured for this provider. */
  readonly apiKey?: string | undefined
  /** Headers of the client's request that a provider of the same protocol passes on (`anthropic-beta`, …). */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Headers that add the upstream request to its trace (`traceparent`, `tracestate`). */
  readonly traceHeaders?: Readonly<Record<string, string>> | undefined
  /** How long connecting may take, in milliseconds. */
  readonly connectTimeoutMs: number
}

/** What tells a provider of our own that an attempt is over. */
export function stopSignalOf(context: Pick<AttemptContext, 'signal' | 'stopped'>): StopSignal {
  return context.stopped ?? context.signal
}

/** What a provider is told when it is asked for its list of models. */
export type ListContext = Pick<ProviderContext, 'signal' | 'options' | 'apiKey' | 'connectTimeoutMs'>

export interface ProviderContext extends AttemptContext {
  readonly streamId: string
}

/** A request that is passed on as it is: for embeddings, an image, speech … */
export interface ForwardRequest {
  /** Below the base URL of the provider, such as `/embeddings`. */
  readonly route: string
  /** Names the provider's model. An upload comes as bytes, which can be read once, as they arrive. */
  readonly body: string | AsyncIterable<Uint8Array>
  readonly contentType: string
  /** The length of an upload in bytes, when known. */
  readonly contentLength?: number | undefined
  /** The media types that the client takes. */
  readonly accept: string
}

/** A response that is passed on as it is. */
export interface ForwardResponse {
  readonly status: number
  /**
   * Names in lower case. Only those that describe the body, as it is in `body`, and rate limits reach the client:
   * after `fetch`, which decompresses, leave `content-encoding` and `content-length` out.
   */
  readonly headers: ReadonlyMap<string, string>
  /** Read as fast as the client reads; not at all once the signal is aborted. */
  readonly body: AsyncIterable<Uint8Array>
}

/** The answer of Anthropic's `count_tokens`: https://platform.claude.com/docs/en/api/messages-count-tokens */
export interface TokenCount {
  readonly input_tokens: number
  readonly [field: string]: unknown
}

export interface Checked {
  ignored: readonly string[]
}

/**
 * A source of tokens. An async generator method is enough:
 *
 * - yield a `delta`, or an array of them when one network read contains several;
 * - end with one `done`, or throw a `ProviderError`. An end without either is reported as `upstream_truncated`, any
 *   other thrown value as `provider_failed`;
 * - stop promptly when `context.signal` is aborted.
 */
export interface Provider {
  readonly name: string
  /** The models it offers; when absent, it accepts any model. */
  readonly models?: readonly string[] | undefined
  /** What its upstream speaks: it is preferred for requests of the same wire whose model no provider lists. */
  readonly wire?: Wire | undefined
  /** Whether it forwards Responses API requests for this model unchanged (`ORIGINAL` in `chat-request.ts`). */
  readonly takesResponses?: ((model: string) => boolean) | undefined
  /** The only vendor whose models it offers; when absent, it may offer anyone's. */
  readonly vendor?: Vendor | undefined
  /** Circuit breakers ignore its failures, because requests ask for them. */
  readonly exemptFromBreaker?: boolean | undefined
  /**
   * Validates a request before its stream exists; throws a `SluiceError` that names the invalid field. May return the
   * names of advisory parameters that it leaves out: the response tells the client.
   */
  check?(request: ChatRequest): Checked | void
  /**
   * The upstream's own list, for a provider that accepts any model: shown to clients, never a limit. Asked in the
   * background; a failure leaves the last list in place.
   */
  listModels?(context: ListContext): Promise<readonly string[]>
  /** Returns an iterable. Where a promise per token is too expensive, returns a source that pushes. */
  stream(request: ChatRequest, context: ProviderContext): AsyncIterable<StreamEvent | readonly StreamEvent[]> | Pushing
  /**
   * Passes a request on that is not for a chat. Resolves with the response as soon as its head has come; throws a
   * `ProviderError` instead of a response that failed, so that it may be retried. When absent, the provider serves
   * chats only.
   */
  forward?(request: ForwardRequest, context: AttemptContext): Promise<ForwardResponse>
  /** The routes that `forward` serves; all when absent. */
  readonly routes?: readonly string[] | undefined
  /** Counts the tokens of a request. When absent, the gateway estimates them. */
  countTokens?(request: ChatRequest, context: AttemptContext): Promise<TokenCount>
  /** Releases resources that outlive a stream (connection pools). */
  close?(): Promise<void>
}

/** Types a provider from outside this repository, for the default export of its module. */
export function defineProvider(provider: Provider): Provider {
  return provider
}

const BRAND = Symbol.for('sluice.error.provider')

/** A provider's failure: a stable code, whether to retry, and when. */
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
