import type { Pushing, Sink } from '../src/stream/source.ts'
import type { StopSignal } from '../src/stream/stop-signal.ts'
import { createDecompressor, type Decompressor } from './transport/decompress.ts'
import type {
  ExchangeControl,
  ExchangeHandler,
  ResponseHead,
  Transport,
  TransportRequest,
} from './transport/transport.ts'
import { ProviderError, type StreamEvent } from './provider.ts'
import { MAX_EVENT_BYTES, SSE, type MessageParser, type StreamFormat } from './stream-format.ts'
import { headerSecrets, withoutSecrets } from './secrets.ts'
import { connectionError, messageError, readError, responseOverLimit } from './upstream-errors.ts'
import { AnswerReader } from './answer-reader.ts'

/** Maximum bytes without an event: comments, empty deltas, padding. Compressed bytes count too. */
const MAX_SILENT_BYTES = MAX_EVENT_BYTES + 1024 * 1024

/** After its last message, the upstream has this many milliseconds to end its response. */
const LINGER_MS = 1000

const JSON_CONTENT = { 'content-type': 'application/json' }

export interface UpstreamRequest {
  transport: Pick<Transport, 'request'>
  method?: TransportRequest['method']
  path: string
  headers: Record<string, string>
  /** Sent as JSON; no body when undefined. */
  body?: unknown
  format?: StreamFormat
  /** Redacted from errors, in addition to secret headers. */
  secrets?: readonly string[] | undefined
  signal: StopSignal
  /** How long connecting may take, TLS included, in milliseconds. */
  connectTimeoutMs: number
}

/** Shared by all streams: a stack trace for each is expensive and nobody reads it. */
const STOPPED = new Error('The stream was stopped.')

/**
 * Sends a request and pushes the events of its streamed response, all events of one socket read at once. Ends after
 * `done`, or with a `ProviderError` (the signal's reason when that is aborted) after the events before it. The
 * connection closes at once when `signal` is aborted or the sink is stopped; it is reused when the stream is complete.
 */
export class UpstreamStream implements Pushing, ExchangeHandler {
  readonly #signal: StopSignal
  readonly #reader: AnswerReader
  readonly #headers: Readonly<Record<string, string>>
  readonly #secrets: readonly string[]
  #exchange: ExchangeControl | undefined
  #decompressor: Decompressor | undefined
  #sink: Sink | undefined
  readonly #events: StreamEvent[] = []
  /** Bytes since the last event. */
  #silentBytes = 0
  /** Set when the response is complete or failed (`error`): `#events` no longer grows. */
  #end: { error?: unknown } | undefined

  constructor(
    {
      transport,
      method = 'POST',
      path,
      headers,
      body,
      format = SSE,
      secrets = [],
      signal,
      connectTimeoutMs,
    }: UpstreamRequest,
    parser: MessageParser,
  ) {
    this.#signal = signal
    this.#reader = new AnswerReader(format, parser, this.#events)
    this.#headers = headers
    this.#secrets = secrets
    const json = body === undefined ? undefined : toJson(body)
    if (signal.aborted) {
      this.#finish({ error: signal.reason })
      return
    }
    signal.addEventListener('abort', this.#onAbort)
    this.#exchange = transport.request(
      {
        method,
        path,
        headers: {
          ...(json === undefined ? undefined : JSON_CONTENT),
          accept: format.mediaType,
          'accept-encoding': 'identity',
          ...headers,
        },
        body: json,
        connectTimeoutMs,
      },
      this,
    )
  }

  pushTo(sink: Sink): () => void {
    this.#sink = sink
    this.#deliver()
    return () => this.#stop()
  }

  onHead(head: ResponseHead): void {
    this.#reader.begin(head)
    if (this.#reader.refused) this.#refuseSoon()
    try {
      this.#decompressor = createDecompressor(head.headers.get('content-encoding'), {
        onData: (bytes) => this.#read(bytes),
        onIntermediateBytes: (bytes) => this.#countSilentBytes(bytes),
        onDrain: () => this.#exchange?.resume(),
        onEnd: () => this.#readEnd(),
        onError: (error) => this.#giveUp(error),
      })
    } catch (error) {
      this.#fail(error)
    }
  }

  onBody(bytes: Buffer): void {
    if (this.#decompressor) this.#decompress(this.#decompressor, bytes)
    else this.#read(bytes)
  }

  onEnd(): void {
    if (this.#decompressor) this.#decompressor.end()
    else this.#readEnd()
  }

  onError(error: unknown): void {
    this.#giveUp(this.#reader.begun ? error : connectionError(error))
  }

  #decompress(decompressor: Decompressor, bytes: Buffer): void {
    this.#countSilentBytes(bytes.length)
    if (!this.#end && !decompressor.write(Buffer.from(bytes))) this.#exchange?.pause()
  }

  #read(bytes: Buffer): void {
    if (this.#end) return
    const before = this.#events.length
    const wasRefused = this.#reader.refused
    try {
      this.#reader.read(bytes)
    } catch (error) {
      return this.#fail(messageError(error))
    }
    if (this.#reader.ended) {
      this.#finish({})
      return this.#closeSoon()
    }
    if (this.#reader.refused && !wasRefused) this.#refuseSoon()
    if (this.#events.length === before) return this.#countSilentBytes(bytes.length)
    this.#silentBytes = 0
    this.#deliver()
  }

  /** Counts bytes that complete no event; they show activity, up to a limit. */
  #countSilentBytes(bytes: number): void {
    this.#silentBytes += bytes
    if (this.#silentBytes > MAX_SILENT_BYTES)
      this.#giveUp(responseOverLimit(`The upstream sent more than ${MAX_SILENT_BYTES} bytes without an event.`))
    else this.#sink?.alive?.(performance.now(), this.#silentBytes)
  }

  #readEnd(): void {
    if (this.#end) return
    try {
      this.#reader.end()
      this.#finish({})
    } catch (error) {
      this.#fail(messageError(error))
    }
  }

  /** Waits up to `LINGER_MS` for the body of an error response. */
  #refuseSoon(): void {
    setTimeout(() => this.#end ?? this.#fail(this.#reader.refusal()), LINGER_MS).unref()
  }

  /** For an error response, reports its status rather than why its body cannot be read. */
  #giveUp(error: unknown): void {
    this.#fail(this.#reader.refused ? this.#reader.refusal() : this.#reader.explain(readError(error)))
  }

  /** Fails after the events that were read before: these are delivered first. */
  #fail(error: unknown): void {
    const secrets = [...this.#secrets, ...headerSecrets(this.#headers)]
    this.#finish({ error: withoutSecrets(readError(error), secrets) })
    this.#close()
  }

  readonly #onAbort = (): void => {
    this.#events.length = 0
    this.#finish({ error: this.#signal.reason })
    this.#stop()
  }

  #finish(end: { error?: unknown }): void {
    if (this.#end) return
    this.#end = end
    this.#signal.removeEventListener('abort', this.#onAbort)
    this.#deliver()
  }

  /** Pushes the events so far, and the end. Does nothing until there is a sink. */
  #deliver(): void {
    const sink = this.#sink
    if (!sink) return
    if (this.#events.length > 0) sink.push(this.#take(), performance.now())
    if (!this.#end) return
    this.#sink = undefined
    sink.end('error' in this.#end ? { error: this.#end.error } : undefined)
  }

  /**
   * Reuses one list for the whole stream. A new list per read would be the longest-lived object of a token; V8 would
   * then allocate these lists in old space, where each keeps its events until the next full collection.
   */
  #take(): StreamEvent[] {
    const events = this.#events.slice()
    this.#events.length = 0
    return events
  }

  #stop(): void {
    if (!this.#end || 'error' in this.#end) this.#close()
    this.#finish({ error: STOPPED })
  }

  /** The stream is complete except for its last bytes: waits for them, to keep the connection reusable. */
  #closeSoon(): void {
    setTimeout(() => this.#close(), LINGER_MS).unref()
  }

  /** Does nothing when the response has ended. */
  #close(): void {
    this.#exchange?.abort()
    this.#decompressor?.destroy()
  }
}

/** A body that was parsed can still be nested too deeply to serialise. */
function toJson(body: unknown): string {
  try {
    return JSON.stringify(body)
  } catch (cause) {
    throw new ProviderError({ code: 'invalid_request', message: 'The request is nested too deeply.', cause })
  }
}
