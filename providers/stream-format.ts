// From the bytes of a streamed response to events: the format splits it into messages, and a provider's parser reads these.

import { EventDecoder } from '../src/sse/decode.ts'
import type { Fields } from '../src/json.ts'
import type { Wire } from '../src/wires/wire.ts'
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
  /** Text that belongs to no message: some servers report an error as plain JSON within a stream. */
  readonly stray?: string
}

/** The format of a streamed response. */
export interface StreamFormat {
  /** Sent as `accept`. */
  mediaType: string
  /** Whether a content type denotes this format. */
  matches(contentType: string): boolean
  /** Whether a body with another content type begins like this format. Not called with blanks at the start. */
  begins?(start: string): 'yes' | 'no' | 'perhaps'
  createDecoder(): MessageDecoder
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html */
export const SSE: StreamFormat = {
  mediaType: 'text/event-stream',
  matches: (contentType) => contentType.includes('event-stream'),
  begins(start) {
    if (FIELDS.some((field) => start.startsWith(field))) return 'yes'
    return FIELDS.some((field) => field.startsWith(start)) ? 'perhaps' : 'no'
  },
  createDecoder: () => new EventsAndStrayText(),
}

const FIELDS = ['data:', 'event:', 'id:', 'retry:', 'error:', ':']

/** Characters of stray text that are kept once a message has come; before that, the text may be the whole answer. */
const MAX_STRAY_CHARACTERS = 64 * 1024

/** Old llama.cpp sends an error as a field of its own. */
const START = /^(?:error:)?(?=\s*[[{])/

/** Keeps lines that the standard says to ignore, starting with the first that looks like JSON. */
class EventsAndStrayText implements MessageDecoder {
  #stray = ''
  #limit = MAX_EVENT_BYTES
  readonly #decoder = new EventDecoder({ maxEventBytes: MAX_EVENT_BYTES, onUnknownLine: (line) => this.#keep(line) })

  get stray(): string {
    return this.#stray
  }

  push(bytes: Uint8Array): readonly Message[] {
    const events = this.#decoder.push(bytes)
    if (events.length > 0 && this.#limit === MAX_EVENT_BYTES) {
      this.#limit = MAX_STRAY_CHARACTERS
      if (this.#stray.length > this.#limit) this.#stray = ''
    }
    return events
  }

  end(): readonly Message[] {
    return this.#decoder.end()
  }

  #keep(line: string): void {
    if (this.#stray === '' && !START.test(line)) return
    const text = this.#stray === '' ? line.replace(START, '') : line
    if (this.#stray.length + text.length < this.#limit) this.#stray += `${text}\n`
  }
}

/** Parses the messages of one stream. All methods throw a `ProviderError` when a message or the end is invalid. */
export interface MessageParser {
  /** The wire that it parses: clients of this wire get the upstream's error objects as they came. */
  readonly wire: Wire
  /** @param event the name of the SSE event, `message` if it has none */
  read(data: string, event?: string): readonly StreamEvent[]
  /** Reads an answer that the upstream sent in one piece; undefined when this is none. `end` follows. */
  readWhole?(body: Fields): readonly StreamEvent[] | undefined
  /** The upstream has sent its end marker. */
  readonly finished: boolean
  /** Returns the last events, including `done`. */
  end(): readonly StreamEvent[]
}
