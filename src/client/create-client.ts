import type { ActivityListener } from './activity.ts'
import { ChatStream } from './chat-stream.ts'
import { createIdempotencyKey } from './idempotency-key.ts'
import { jitteredBackoff } from './reconnect.ts'
import type { HeaderFields } from './requests.ts'
import { createSend } from './send.ts'
import { Subscription, type Target } from './subscription.ts'

export interface ClientOptions {
  /** Where the gateway is; in a page, the page's own origin by default. */
  baseUrl?: string
  /** Sent with every request; as a function, asked before each one: a token may expire while a stream is resumed. */
  headers?: HeaderFields | (() => HeaderFields | Promise<HeaderFields>)
  fetch?: typeof globalThis.fetch
  /** The gateway's `HEARTBEAT_MS`, in milliseconds. A connection that is silent for three of them is taken for dead. */
  heartbeatMs?: number
  /** How often in a row to connect in vain before the stream fails; 12 take about five minutes. */
  maxAttempts?: number
  /**
   * Milliseconds to wait before attempt `attempt` (from 1) when the gateway asks for `retryMs`: by default twice as long
   * each time, up to half a minute, with jitter.
   */
  backoff?: (attempt: number, retryMs: number) => number
}

/** The body of `POST /v1/chat`; fields that are not listed go through to the provider. */
export interface ChatBody {
  messages: ChatMessage[]
  model?: string
  [field: string]: unknown
}

export interface ChatMessage {
  role: 'system' | 'developer' | 'user' | 'assistant' | 'tool'
  content?: string | { type: string; [field: string]: unknown }[] | null
  [field: string]: unknown
}

export interface StreamOptions {
  /** Leaves the stream, at any time. The stream itself goes on for others, and for a while for nobody. */
  signal?: AbortSignal
  /** Is told of everything that happens on the wire, as it happens. */
  onActivity?: ActivityListener
}

export interface ChatOptions extends StreamOptions {
  /** Makes the request the same as another one with this key; one of its own by default. */
  idempotencyKey?: string
}

export interface AttachOptions extends StreamOptions {
  /** The seq of the last event that is known already; 0, the beginning, by default. */
  after?: number
}

export interface Client {
  /** Starts a stream. What can go wrong is told by the stream. */
  chat(body: ChatBody, options?: ChatOptions): ChatStream
  /** Joins a stream that was started elsewhere, or before a reload. */
  attach(id: string, options?: AttachOptions): ChatStream
}

/** @throws TypeError when `baseUrl` is no URL, or a header cannot be sent. */
export function createClient({
  baseUrl = '',
  headers = {},
  fetch = (input, init) => globalThis.fetch(input, init),
  heartbeatMs = 8_000,
  maxAttempts = 12,
  backoff = jitteredBackoff,
}: ClientOptions = {}): Client {
  const send = createSend({ baseUrl, headers, fetch })
  const shared = { send, policy: { backoff, maxAttempts }, silenceMs: 3 * heartbeatMs }
  const open = (target: Target, { signal, onActivity }: StreamOptions) =>
    new ChatStream(new Subscription(target, { ...shared, signal, onActivity }))
  return {
    chat(body, options = {}) {
      return open({ body: JSON.stringify(body), key: options.idempotencyKey ?? createIdempotencyKey() }, options)
    },
    attach(id, options = {}) {
      return open({ id, after: options.after ?? 0 }, options)
    },
  }
}
