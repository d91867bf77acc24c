// From the bytes of a streamed response to events: the format splits it into messages, and a provider's parser reads these.

import { EventDecoder } from '../src/sse/decode.ts'
import type { Wire } from './error-objects.ts'
import type { StreamEvent } from './provider.ts'

/** Maximum size of one event's text. A log stores no larger event. */
export const MAX_EVENT_BYTES = 8 * 1024 * 1024

interface Message {
  readonly data: string
  /** The name of an SSE event. */
  readonly event?: string
}

/** Splits the bytes of a response into messages. Buffers a bounded number of bytes; throws for a larger message. */
export interface MessageDecoder {
  push(bytes: Uint8Array): readonly Message[]
  end(): readonly Message[]
}

/** The format of a streamed response. */
export interface StreamFormat {
  /** Sent as `accept`. */
  mediaType: string
  /** Whether a content type denotes this format. */
  matches(contentType: string): boolean
  createDecoder(): MessageDecoder
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html */
export const SSE: StreamFormat = {
  mediaType: 'text/event-stream',
  matches: (contentType) => contentType.includes('event-stream'),
  createDecoder: () => new EventDecoder({ maxEventBytes: MAX_EVENT_BYTES }),
}

/** Parses the messages of one stream. Both methods throw a `ProviderError` when a message or the end is invalid. */
export interface MessageParser {
  /** The wire that it parses: clients of this wire get the upstream's error objects as they came. */
  readonly wire: Wire
  /** @param event the name of the SSE event, `message` if it has none */
  read(data: string, event?: string): readonly StreamEvent[]
  /** The upstream has sent its end marker. */
  readonly finished: boolean
  /** Returns the last events, including `done`. */
  end(): readonly StreamEvent[]
}
