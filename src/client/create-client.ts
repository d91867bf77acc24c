import type { ActivityListener } from './activity.ts'
import { ChatStream } from './chat-stream.ts'
import { jitteredBackoff } from './reconnect.ts'
import { createIdempotencyKey, createSend, type HeaderFields } from './requests.ts'
import { ResumingReader, type WantedStream } from './resuming-reader.ts'

export interface ClientOptions {
  /**
   * URL of the gateway; in a page, the page's own origin by default. That is the gateway if the page's server passes `/v1`
   * on, in Vite with `server: { proxy: { '/v1': 'http://localhost:8080' } }`. A gateway of another origin has to allow the
   * page: `CORS_ORIGIN`.
   */
  baseUrl?: string
  /**
   * Sent with every request. A function is called before each request: a token may expire while a stream is resumed.
   */
  headers?: HeaderFields | (() => HeaderFields | Promise<HeaderFields>)
  /** A `fetch` to use instead of the global one; its responses must have a `body` that streams. */
  fetch?: typeof globalThis.fetch
  /**
   * The gateway's `HEARTBEAT_MS`, in milliseconds; by default the gateway states it. A connection that is silent for three
   * heartbeats counts as dead.
   */
  heartbeatMs?: number
  /**
   * Milliseconds before the stream fails if nothing has ever responded to it: the address is wrong, or the gateway does
   * not allow this page. Does not pass while the device is offline.
   */
  firstResponseMs?: number
  /** Consecutive failed attempts to reconnect before the stream fails; 12 take about five minutes. */
  maxAttempts?: number
  /**
   * Milliseconds to wait before attempt `attempt` (from 1) when the gateway asks for `retryMs`. By default doubles each
   * time, up to half a minute, with jitter.
   */
  backoff?: (attempt: number, retryMs: number) => number
}

/** The body of `POST /v1/chat`; unknown fields are passed to the provider. */
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
  /** An abort leaves the stream at any time. It continues for other readers, and for a while without readers. */
  signal?: AbortSignal
  /** Called for every network event. */
  onActivity?: ActivityListener
}

export interface ChatOptions extends StreamOptions {
  /** Requests with the same key share one stream; unique by default. */
  idempotencyKey?: string
}

export interface AttachOptions extends StreamOptions {
  /** The seq of the last known event; by default 0, the beginning. */
  after?: number
}

export interface Client {
  /** Starts a stream. The stream reports all failures. */
  chat(body: ChatBody, options?: ChatOptions): ChatStream
  /**
   * Joins a stream that was started by another client, or before a page reload. Instead of its id, takes the `url` that a
   * gateway has given for it, with its ticket; only its last part and its query are used, below `baseUrl`.
   */
  attach(id: string, options?: AttachOptions): ChatStream
}

/**
 * A client of the gateway at `baseUrl`, by default at the page's own origin.
 *
 * @throws TypeError when `baseUrl` is not a URL, or a header cannot be sent.
 */
export function createClient({
  baseUrl = '',
  headers = {},
  fetch = (input, init) => globalThis.fetch(input, init),
  heartbeatMs,
  firstResponseMs = 10_000,
  maxAttempts = 12,
  backoff = jitteredBackoff,
}: ClientOptions = {}): Client {
  const { send, gateway } = createSend({ baseUrl, headers, fetch })
  const shared = { send, policy: { backoff, maxAttempts, firstResponseMs, gateway }, heartbeatMs }
  const open = (wanted: WantedStream, { signal, onActivity }: StreamOptions) =>
    new ChatStream(new ResumingReader(wanted, { ...shared, signal, onActivity }))
  return {
    chat(body, options = {}) {
      return open({ body: JSON.stringify(body), key: options.idempotencyKey ?? createIdempotencyKey() }, options)
    },
    attach(id, options = {}) {
      return open({ id, after: options.after ?? 0 }, options)
    },
  }
}
