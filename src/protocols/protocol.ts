// What a protocol is, and the table of all of them.

import type { IncomingHttpHeaders } from 'node:http'
import type { ChatInput } from '../chat-request.ts'
import type { SluiceError } from '../errors.ts'
import type { LastEventId, ReaderRequest } from '../sse/last-event-id.ts'
import type { Batch, StreamInfo, StreamLog } from '../stream/stream-log.ts'
import type { Wire } from '../wires/wire.ts'

/**
 * A wire format: its paths, and the format of its requests, streams, whole answers and errors. Pure functions, no I/O.
 * A row describes a protocol completely: `http/` iterates over the table and names no protocol.
 */
export interface Protocol {
  readonly name: string
  /** The wire of upstreams that speak this format. */
  readonly wire?: Wire
  /** `POST` here creates a stream. */
  readonly createPath: string
  /** Requests to these paths and below use this protocol, also for errors. */
  readonly paths: readonly string[]
  /** Lower-case name of a header that all clients of this protocol send: selects the protocol at shared paths. */
  readonly clientHeader?: string
  /** Lower-case name of a header in which clients send their API key, if not as `Authorization: Bearer`. */
  readonly keyHeader?: string
  /** Path in the body to the end user for whom a key acts; by default `user`. */
  readonly userPath?: readonly string[]
  /** Headers of every response. */
  readonly headers?: (requestId: string) => Record<string, string>

  /** @throws SluiceError that names the wrong fields */
  readonly parse: (body: unknown, headers: IncomingHttpHeaders, earlier?: EarlierStreams) => ParsedRequest
  /** Ids of the streams that a request continues or quotes; `parse` is given those that are still there. */
  readonly refersTo?: (body: unknown) => readonly string[]
  /** The last event that the reader reports as seen; undefined when there is none. */
  readonly readCursor: (request: ReaderRequest) => LastEventId | undefined
  /** Where in the log a cursor is; absent where a cursor is a seq. */
  readonly toPosition?: (cursor: number, log: StreamLog) => Position

  /** Sent on a silent connection. No client of this protocol takes it for an event. */
  readonly heartbeat: string
  /**
   * Clients reconnect by themselves: they receive `retry`, the stream waits for them during the resume window, and the
   * response starts at once. Other clients decide by the status whether to retry, so it is delayed until the first
   * event.
   */
  readonly reconnects: boolean
  /**
   * Readers count frames, so how a log is encoded must not depend on when it is read: its deltas are not merged.
   * `frames` of an encoder are those that readers count.
   */
  readonly countsFrames?: true
  /** The stream repeats parts of its request, such as the instructions: a ticket does not open it in this protocol. */
  readonly repeatsRequest?: true
  /** The end of a stream repeats the whole answer. */
  readonly repeatsAnswer?: true
  /** Creates the encoder for a reader that starts at the beginning. */
  readonly encoder: (info: StreamInfo) => Encoder
  /** Frames before those of the first event, less those that the reader has seen; sent at once. */
  readonly opening?: (info: StreamInfo, seen?: number) => string

  /** The whole answer of a log that has ended. Long answers take several turns of the event loop. */
  readonly renderWhole: (log: StreamLog) => Promise<unknown>
  /** A whole answer includes how the stream ended; in other protocols a failure is an HTTP status. */
  readonly wholeSaysEnd?: boolean
  /** Current state of a stream that may still run; absent where the protocol has no format for it. */
  readonly renderSnapshot?: (log: StreamLog) => Promise<unknown>
  /** The protocol's own routes about one stream, beside `/v1/streams/:id`. */
  readonly streamRoutes?: readonly StreamRoute[]
  /** Headers of the responses that send the events of a stream. */
  readonly streamHeaders?: (info: StreamInfo) => Record<string, string>
  /** The response to a request for a stream in the background. */
  readonly renderCreated?: (stream: CreatedStream) => Created | Promise<Created>
  readonly models?: ModelForms
  /** Requests of the same API for something else than a chat. */
  readonly forwards?: readonly ForwardRoute[]
  readonly tokenCount?: TokenCountForm
  /** The response to a request that fails before its stream begins. */
  readonly renderError: (error: SluiceError, requestId: string) => RenderedError
}

/** How the answer is sent: streamed, whole after its end, or not in this response, for other readers. */
export type Mode = 'stream' | 'whole' | 'background'

export interface ParsedRequest {
  input: ChatInput
  mode: Mode
  /** A second name for the stream, which the newest stream of the name has. */
  alias?: string
  /** Advisory parameters that this protocol has left out; the response names them. */
  ignored?: readonly string[]
  /** The stream runs to its end without readers. */
  detached?: boolean
  /** What the protocol wants back with `EarlierStreams`; kept as long as the stream. */
  kept?: string | undefined
  /** Headers that a provider of the same protocol should see. */
  forward?: Record<string, string>
  /** Request options that this protocol's encoder needs. */
  labels?: Record<string, string>
}

/** A route about one stream. `http/` finds the stream, acts on it, and sends what the row says. */
export interface StreamRoute {
  readonly method: 'get' | 'post' | 'delete'
  /** With parameters, as the router reads them: `/v1/things/:id`. */
  readonly path: string
  /** What happens to the stream; `forget` cancels it and drops it from the store. */
  readonly action: 'read' | 'cancel' | 'forget'
  /** The stream that the path names; undefined when there can be none. */
  readonly nameOf: (params: Readonly<Record<string, string | undefined>>) => StreamName | undefined
  /** A stream for which this is false is treated as missing. */
  readonly covers?: (log: StreamLog, request: ReaderRequest) => boolean
  /** Whether a reader wants the events; by default if the route renders nothing. */
  readonly wantsEvents?: (request: ReaderRequest) => boolean
  /** The reader's cursor, where the route reads another one than its protocol. It may count from the end. */
  readonly readCursor?: (request: ReaderRequest, log: StreamLog) => LastEventId | undefined
  /** For protocols whose readers count frames, in place of `readCursor`. */
  readonly frameCursor?: FrameCursor
  /** The JSON of the response; without it the response has no body. */
  readonly render?: (log: StreamLog, request: ReaderRequest) => Promise<unknown>
  /** The response when there is no such stream has this status and no body; by default it is an error. */
  readonly missing?: 204
  /** Finished streams that have been read to their end are an empty stream, not 204, to clients that choke on that. */
  readonly emptyAtEnd?: boolean
}

/** Streams that a request refers to: what was kept of their requests, and their snapshots. */
export type EarlierStreams = ReadonlyMap<string, { readonly kept: string | undefined; readonly snapshot: unknown }>

/** How far a reader is: the last event that it has seen in full, and the number of the last frame of the next event. */
export interface Position {
  readonly seq: number
  readonly seen?: number
  /** Frames that the reader has, if it counts them from the beginning. */
  readonly received?: number
}

/** The cursor of a reader that counts frames. */
export interface FrameCursor {
  /**
   * How many frames the reader has; a negative number counts from the present end of the stream.
   *
   * @throws SluiceError `invalid_cursor`
   */
  readonly read: (request: ReaderRequest) => number
  /** Tells a reader that counts from the end how many frames there are. */
  readonly headers: (count: number) => Record<string, string>
}

/** A stream by its id, or by its alias among those of its owner. */
export type StreamName = { readonly id: string } | { readonly alias: string }

export interface CreatedStream {
  id: string
  log: StreamLog
  /** For the owner: headers are logged, so this contains no ticket. */
  address: string
  /** With a ticket, for readers that cannot send a key. */
  url: string
}

export interface Created {
  /** 202 when absent. */
  status?: number
  headers: Record<string, string>
  body: object
}

export interface Model {
  id: string
  provider: string
}

/** The format of the model list. */
export interface ModelForms {
  readonly renderList: (models: readonly Model[]) => object
  readonly renderModel: (model: Model) => object
}

/** Requests to this path are passed on as they are, to a provider that serves the route. */
export interface ForwardRoute {
  readonly path: string
  /** Below the base URL of a provider. */
  readonly route: string
  /** The body is a form with files, not JSON. */
  readonly upload?: boolean
  /** OpenTelemetry's name for it, or one of its kind. */
  readonly operation: string
  /** The response is text that the model writes: the caller's limit of the answer is written into the request. */
  readonly writesText?: true
}

/** How the protocol asks for the number of tokens in a request, and is told. */
export interface TokenCountForm {
  readonly path: string
  readonly parse: (body: unknown, headers: IncomingHttpHeaders) => Pick<ParsedRequest, 'input' | 'forward'>
  /** @param count of a provider of this protocol, or an estimate */
  readonly render: (count: { input_tokens: number }) => object
}

export interface RenderedError {
  /** The HTTP status, if it differs from the error's own. */
  status?: number
  type: string
  headers?: Record<string, string>
  body: object
}

/**
 * Encodes batches as frames. An encoder is immutable: `next` is the encoder, with updated state, for the following
 * batch, so readers at the same cursor can share both.
 */
export interface Encoder {
  encode(batch: Batch): Encoded
  /** Returns the encoder after a batch that is not sent. Absent for encoders without state. */
  skip?(batch: Batch): Encoder
}

export interface Encoded {
  text: string
  /** Number of frames in `text`. */
  frames: number
  next: Encoder
}

/** A protocol that can list models. */
export interface ModelProtocol extends Protocol {
  readonly models: ModelForms
}

const VERSION = '/v1'

/** Shared by all protocols that list models. */
const MODELS_PATH = `${VERSION}/models`

/** The protocols of a gateway; chooses the protocol of each request. */
export class ProtocolTable {
  readonly rows: readonly [Protocol, ...Protocol[]]
  /** Headers that identify the client's protocol at paths shared by several protocols. */
  readonly clientHeaders: readonly string[]
  /** Headers in which clients send their API keys, beside `Authorization`. */
  readonly keyHeaders: readonly string[]
  /** The longest path first. */
  readonly #paths: readonly { path: string; protocol: Protocol }[]
  readonly #unclaimed: Protocol
  /** Paths that are also served without `/v1`: those of SDKs. Clients of the default protocol are given our paths. */
  readonly #versioned: readonly string[]

  /**
   * @param rows the first is the default
   * @param unclaimed renders errors of paths below `/v1/` that belong to no protocol
   */
  constructor(rows: readonly [Protocol, ...Protocol[]], unclaimed: Protocol = rows[0]) {
    this.rows = rows
    this.clientHeaders = rows.flatMap(({ clientHeader }) => clientHeader ?? [])
    this.keyHeaders = rows.flatMap(({ keyHeader }) => keyHeader ?? [])
    this.#paths = rows
      .flatMap((protocol) => protocol.paths.map((path) => ({ path, protocol })))
      .toSorted((a, b) => b.path.length - a.path.length)
    this.#unclaimed = unclaimed
    this.#versioned = [MODELS_PATH, ...rows.slice(1).flatMap(({ paths }) => paths)]
  }

  get default(): Protocol {
    return this.rows[0]
  }

  get names(): string[] {
    return this.rows.map(({ name }) => name)
  }

  /** The protocol of a request, chosen by path; by headers where protocols share the path or none claims it. */
  at(path: string, headers: IncomingHttpHeaders): Protocol {
    for (const each of this.#paths) if (isBelow(path, each.path)) return each.protocol
    if (!path.startsWith('/v1/')) return this.default
    return this.rows.find((protocol) => isClient(protocol, headers)) ?? this.#unclaimed
  }

  /** The path of a request whose client was given a base URL without `/v1`; any other path stays as it is. */
  withVersion(path: string): string {
    const versioned = `${VERSION}${path}`
    return this.#versioned.some((each) => isBelow(versioned, each)) ? versioned : path
  }

  named(name: string): Protocol | undefined {
    return this.rows.find((protocol) => protocol.name === name)
  }

  /** The query that selects a protocol in the URL of a stream. */
  readQuery({ name }: Protocol): string {
    return name === this.default.name ? '' : `?protocol=${name}`
  }

  /** The protocol for listing models: the client's, or the first that can list models. */
  forModels(headers: IncomingHttpHeaders): ModelProtocol | undefined {
    const listing = this.rows.filter(hasModels)
    return listing.find((protocol) => isClient(protocol, headers)) ?? listing[0]
  }
}

function isClient({ clientHeader }: Protocol, headers: IncomingHttpHeaders): boolean {
  return clientHeader !== undefined && headers[clientHeader] !== undefined
}

function hasModels(protocol: Protocol): protocol is ModelProtocol {
  return protocol.models !== undefined
}

function isBelow(path: string, prefix: string): boolean {
  return path.startsWith(prefix) && (path.length === prefix.length || path.charAt(prefix.length) === '/')
}
