import type { Pushing, Sink } from '../src/stream/source.ts'
import { createDecompressor, type Decompressor } from './transport/decompress.ts'
import type {
  ExchangeControl,
  ExchangeHandler,
  ResponseHead,
  Transport,
  TransportRequest,
} from './transport/transport.ts'
import { ProviderError, type StreamEvent } from './provider.ts'
import { isRecord } from '../src/json.ts'
import { MAX_EVENT_BYTES, SSE, type MessageDecoder, type MessageParser, type StreamFormat } from './stream-format.ts'
import { headerSecrets, withoutSecrets } from './secrets.ts'
import {
  connectionError,
  messageError,
  readError,
  readJson,
  responseError,
  responseOverLimit,
  sentInvalid,
  sentOverLimit,
  strayError,
} from './upstream-errors.ts'
import { WholeBody } from './whole-body.ts'

/** Maximum bytes without an event: comments, empty deltas, padding. Compressed bytes count too. */
const MAX_SILENT_BYTES = MAX_EVENT_BYTES + 1024 * 1024

/** After its last message, the upstream has this many milliseconds to end its response. */
const LINGER_MS = 1000

const JSON_CONTENT = { 'content-type': 'application/json' }

/** Before a response has begun. */
const NO_HEAD: ResponseHead = { status: 0, headers: new Map() }

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
  signal: AbortSignal
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
  readonly #signal: AbortSignal
  readonly #reader: MessageParser
  readonly #format: StreamFormat
  readonly #decoder: MessageDecoder
  readonly #headers: Readonly<Record<string, string>>
  readonly #secrets: readonly string[]
  #exchange: ExchangeControl | undefined
  #decompressor: Decompressor | undefined
  #head = NO_HEAD
  /** The body of a response that is not a stream of messages, as far as is known. */
  #whole: WholeBody | undefined
  /** Whether a message of the stream has come. */
  #begun = false
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
    reader: MessageParser,
  ) {
    this.#signal = signal
    this.#reader = reader
    this.#format = format
    this.#decoder = format.createDecoder()
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
    this.#head = head
    const { status, headers } = head
    const type = headers.get('content-type') ?? ''
    if (status !== 200 || (type !== '' && !this.#format.matches(type))) {
      this.#whole = new WholeBody(head, this.#format)
      if (status !== 200) this.#refuseSoon(this.#whole)
    }
    try {
      this.#decompressor = createDecompressor(headers.get('content-encoding'), {
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
    this.#giveUp(this.#head === NO_HEAD ? connectionError(error) : error)
  }

  #decompress(decompressor: Decompressor, bytes: Buffer): void {
    this.#countSilentBytes(bytes.length)
    if (!this.#end && !decompressor.write(Buffer.from(bytes))) this.#exchange?.pause()
  }

  #read(bytes: Buffer): void {
    if (this.#end) return
    if (this.#whole) this.#readWhole(this.#whole, bytes)
    else this.#readStream(bytes)
  }

  #readStream(bytes: Buffer): void {
    const before = this.#events.length
    try {
      for (const { data, event } of this.#decoder.push(bytes)) {
        this.#begun = true
        const events = this.#reader.read(data, event)
        for (const each of events) this.#events.push(each)
        if (this.#reader.finished) {
          this.#succeed()
          return this.#closeSoon()
        }
      }
      if (this.#events.length === before) return this.#countSilentBytes(bytes.length)
      this.#silentBytes = 0
      this.#deliver()
    } catch (error) {
      this.#fail(this.#explain(messageError(error)))
    }
  }

  #readWhole(body: WholeBody, bytes: Buffer): void {
    const isRecognised = body.add(bytes)
    if (body.kind === 'stream') {
      this.#whole = undefined
      return this.#readStream(body.bytes)
    }
    if (isRecognised && body.kind === 'other') this.#refuseSoon(body)
    if (!body.full) return this.#countSilentBytes(bytes.length)
    if (body.kind === 'json') this.#fail(sentOverLimit(`a whole answer of more than ${MAX_EVENT_BYTES} bytes`))
    else this.#refuse(body)
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
    if (this.#whole) return this.#readWholeEnd(this.#whole)
    try {
      for (const { data, event } of this.#decoder.end()) {
        this.#begun = true
        this.#events.push(...this.#reader.read(data, event))
      }
      const answer = this.#begun ? undefined : readJson(this.#decoder.stray ?? '')
      if (answer === undefined) this.#succeed()
      else this.#readAnswer(answer)
    } catch (error) {
      this.#fail(this.#explain(messageError(error)))
    }
  }

  #readWholeEnd(body: WholeBody): void {
    if (body.kind !== 'json') return this.#refuse(body)
    const answer = readJson(body.text)
    if (answer === undefined) this.#fail(sentInvalid('broken JSON'))
    else this.#readAnswer(answer)
  }

  /** Reads a body of JSON: an answer in one piece, or an error. */
  #readAnswer(body: unknown): void {
    try {
      const events = isRecord(body) ? this.#reader.readWhole?.(body) : undefined
      if (!events) return this.#fail(this.#refusal(body))
      this.#events.push(...events)
      this.#succeed()
    } catch (error) {
      this.#fail(messageError(error))
    }
  }

  /** A stream without its end may say why in plain JSON, outside its messages. */
  #explain(error: ProviderError): ProviderError {
    if (error.code !== 'upstream_truncated' && error.code !== 'upstream_disconnected') return error
    return strayError(this.#decoder.stray ?? '', this.#reader.wire, error.usage) ?? error
  }

  /** Waits up to `LINGER_MS` for the body of an error response. */
  #refuseSoon(body: WholeBody): void {
    setTimeout(() => this.#end ?? this.#refuse(body), LINGER_MS).unref()
  }

  #refuse(body: WholeBody): void {
    this.#fail(this.#refusal(readJson(body.text)))
  }

  #refusal(body: unknown): ProviderError {
    return responseError(this.#head, body, this.#format.mediaType, this.#reader.wire)
  }

  /** For an error response, reports its status rather than why its body cannot be read. */
  #giveUp(error: unknown): void {
    if (this.#whole?.kind === 'other') this.#refuse(this.#whole)
    else this.#fail(this.#explain(readError(error)))
  }

  #succeed(): void {
    this.#events.push(...this.#reader.end())
    this.#finish({})
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
