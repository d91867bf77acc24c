import type { IncomingHttpHeaders } from 'node:http'
import type { ChatInput } from '../chat-request.ts'
import type { SluiceError } from '../errors.ts'
import type { LastEventId, ReaderRequest } from '../sse/last-event-id.ts'
import type { Batch, StreamInfo, StreamLog } from '../stream/stream-log.ts'

/**
 * A wire format: its paths, and how it says a request, a stream, a whole answer and an error. Pure functions, no I/O.
 * A row says all that there is to know of a protocol: `http/` maps over the table and names none.
 */
export interface Protocol {
  readonly name: string
  /** `POST` here creates a stream. */
  readonly createPath: string
  /** Requests for these paths and below speak this protocol, errors included. */
  readonly paths: readonly string[]
  /** A header that all clients of this protocol send, in lower case: it decides for paths that protocols share. */
  readonly clientHeader?: string
  /** Headers of every response. */
  readonly headers?: (requestId: string) => Record<string, string>

  /** @throws SluiceError that names the wrong fields */
  readonly parse: (body: unknown, headers: IncomingHttpHeaders) => ParsedRequest
  /** What a request says that its reader has seen; undefined when that is nothing. */
  readonly readCursor: (request: ReaderRequest) => LastEventId | undefined

  /** What is sent on a silent connection: nothing that any client of this protocol takes for an event. */
  readonly heartbeat: string
  /**
   * Its clients come back by themselves. They are told with `retry` when to, are waited for during the resume window, and
   * their streams begin at once. Other clients decide by the status whether to try again, so it is held back until the
   * first event.
   */
  readonly reconnects: boolean
  /** The encoder of a reader that starts at the beginning. */
  readonly encoder: (info: StreamInfo) => Encoder

  /** The whole answer of a log that has ended. Long answers take several turns of the event loop. */
  readonly renderWhole: (log: StreamLog) => Promise<unknown>
  /** A whole answer says itself how the stream ended; in other protocols a failure is a status. */
  readonly wholeSaysEnd?: boolean
  /** What is known of a stream that may still run; absent where the protocol has no form for it. */
  readonly renderSnapshot?: (log: StreamLog) => Promise<unknown>
  /** The response to a request for a stream in the background. */
  readonly renderCreated?: (stream: { id: string; url: string }) => Created
  readonly models?: ModelForms
  /** What a caller is told when the failure comes before a stream. */
  readonly renderError: (error: SluiceError, requestId: string) => RenderedError
}

/**
 * How the answer comes: as a stream, in one piece after its end, or not at all in this response, for others to read.
 */
export type Mode = 'stream' | 'whole' | 'background'

export interface ParsedRequest {
  input: ChatInput
  mode: Mode
  /** Headers that a provider of the same protocol should see. */
  forward?: Record<string, string>
  /** What an encoder of this protocol has to know of the request. */
  labels?: Record<string, string>
}

export interface Created {
  headers: Record<string, string>
  body: object
}

export interface Model {
  id: string
  provider: string
}

/** How the models that can be asked for are told. */
export interface ModelForms {
  readonly renderList: (models: readonly Model[]) => object
  readonly renderModel: (model: Model) => object
}

export interface RenderedError {
  /** The HTTP status, where it is not the error's own. */
  status?: number
  type: string
  headers?: Record<string, string>
  body: object
}

/**
 * Turns batches into frames. An encoder is immutable: what it has learnt is in `next`, the encoder for what comes
 * after, so that readers at the same cursor can share both.
 */
export interface Encoder {
  encode(batch: Batch): Encoded
  /** The encoder after a batch that is not sent. Absent for encoders without state. */
  skip?(batch: Batch): Encoder
}

export interface Encoded {
  text: string
  /** How many frames `text` is. */
  frames: number
  next: Encoder
}
