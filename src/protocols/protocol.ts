import type { IncomingHttpHeaders } from 'node:http'
import type { ChatInput } from '../chat-request.ts'
import type { SluiceError } from '../errors.ts'
import type { Batch, StreamInfo, StreamLog } from '../stream/stream-log.ts'

export const PROTOCOL_NAMES = ['native', 'openai-chat', 'anthropic-messages'] as const
export type ProtocolName = (typeof PROTOCOL_NAMES)[number]

/** A wire format: how it says a request, a stream, a whole answer and an error. Pure functions, no I/O. */
export interface Protocol {
  readonly name: ProtocolName
  /** What is sent on a silent connection: nothing that any client of this protocol takes for an event. */
  readonly heartbeat: string
  /** Its clients come back by themselves, and are told with `retry` when to. */
  readonly reconnects: boolean
  /** @throws SluiceError that names the wrong fields */
  parse(body: unknown, headers: IncomingHttpHeaders): ParsedRequest
  /** The encoder of a reader that starts at the beginning. */
  encoder(info: StreamInfo): Encoder
  /** The whole answer of a log that has ended. Long answers take several turns of the event loop. */
  renderAnswer(log: StreamLog): Promise<unknown>
  /** What a caller is told when the failure comes before a stream. */
  renderError(error: SluiceError, requestId: string): RenderedError
}

export interface ParsedRequest {
  input: ChatInput
  /** Whether the body asks for a stream; undefined in a protocol that asks with headers. */
  stream?: boolean | undefined
  /** Headers that a provider of the same protocol should see. */
  forward?: Record<string, string>
  /** What an encoder of this protocol has to know of the request. */
  labels?: Record<string, string>
}

export interface RenderedError {
  /** The HTTP status, where it is not the error's own. */
  status?: number
  type: string
  headers?: Record<string, string>
  body: unknown
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
