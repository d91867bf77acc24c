import { Utf8Decoder } from './utf8.ts'

/** One dispatched event: the lines of `data` are joined by LF. */
export interface DecodedEvent {
  /** `message` when the event has no name. */
  event: string
  data: string
  /** The last `id`, set by this event or an earlier one; empty if there was none. */
  id: string
}

export interface DecoderOptions {
  /** Maximum bytes of one event, including comments. Bounds memory: a larger event is an error. */
  maxEventBytes?: number
  /** Maximum lines of data in one event: each takes memory, even if empty. */
  maxDataLines?: number
  onComment?: (text: string) => void
  onRetry?: (milliseconds: number) => void
  /** Called with lines that the standard says to ignore: those of unknown fields. */
  onUnknownLine?: (line: string) => void
}

/** An event exceeds the decoder's limits. */
export class EventTooLargeError extends Error {
  override readonly name = 'EventTooLargeError'
}

const LF = 10
const DIGITS = /^\d+$/

/**
 * Parses events from bytes in chunks of any size, even cut within a UTF-8 character or between CR and LF.
 *
 * Decodes characters a chunk at a time and finds lines with `indexOf`: a chunk costs a few native calls, and JavaScript
 * inspects no single byte. Between chunks it keeps one unfinished line and the event's data.
 */
export class EventDecoder {
  readonly #maxEventBytes: number
  readonly #maxDataLines: number
  readonly #onComment: ((text: string) => void) | undefined
  readonly #onRetry: ((milliseconds: number) => void) | undefined
  readonly #onUnknownLine: ((line: string) => void) | undefined
  readonly #text = new Utf8Decoder()
  #line = ''
  /** The last chunk ended in CR: skip an LF that follows. */
  #afterCr = false
  #event = ''
  #data: string | undefined
  /** Lines of data after the first. */
  #moreLines = 0
  #id = ''
  /** Bytes of all chunks since the last blank line. */
  #bytes = 0

  constructor({
    maxEventBytes = 8 * 1024 * 1024,
    maxDataLines = 64 * 1024,
    onComment,
    onRetry,
    onUnknownLine,
  }: DecoderOptions = {}) {
    this.#maxEventBytes = maxEventBytes
    this.#maxDataLines = maxDataLines
    this.#onComment = onComment
    this.#onRetry = onRetry
    this.#onUnknownLine = onUnknownLine
  }

  /** @throws EventTooLargeError */
  push(chunk: Uint8Array): DecodedEvent[] {
    const events: DecodedEvent[] = []
    this.#bytes += chunk.length
    this.#scan(this.#text.push(chunk), events)
    // Also checks characters: a chunk can end one event, which resets the byte count, and begin another.
    this.#checkSize(Math.max(this.#bytes, this.#line.length + (this.#data?.length ?? 0)))
    return events
  }

  /**
   * Ends the stream. The standard drops an event without its blank line. Omitting the last blank line is common among
   * providers, so the event is returned here; the caller may ignore it.
   */
  end(): DecodedEvent[] {
    const events: DecodedEvent[] = []
    this.#scan(this.#text.end(), events)
    if (this.#line) this.#field(this.#line)
    this.#line = ''
    this.#dispatch(events)
    return events
  }

  #scan(text: string, events: DecodedEvent[]): void {
    let start = 0
    if (this.#afterCr && text.length > 0) {
      this.#afterCr = false
      if (text.charCodeAt(0) === LF) start = 1
    }
    // Most streams never use CR: then each line costs one native search.
    let cr = text.indexOf('\r', start)
    while (start < text.length) {
      const lf = text.indexOf('\n', start)
      if (cr !== -1 && cr < start) cr = text.indexOf('\r', start)
      const end = cr === -1 ? lf : lf === -1 ? cr : Math.min(cr, lf)
      if (end === -1) break
      const line = text.slice(start, end)
      start = end + 1
      if (end === cr) {
        if (start === text.length) this.#afterCr = true
        else if (text.charCodeAt(start) === LF) start += 1
      }
      this.#endLine(line, events)
    }
    if (start < text.length) this.#line += text.slice(start)
  }

  #endLine(rest: string, events: DecodedEvent[]): void {
    const line = this.#line ? this.#line + rest : rest
    this.#line = ''
    this.#checkSize(line.length)
    if (line === '') this.#dispatch(events)
    else this.#field(line)
  }

  #field(line: string): void {
    // Nearly every line takes this path.
    if (this.#data === undefined && line.slice(0, 6) === 'data: ') {
      this.#data = line.slice(6)
      return
    }
    const colon = line.indexOf(':')
    const name = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(line.charCodeAt(colon + 1) === 32 ? colon + 2 : colon + 1)
    switch (name) {
      case 'data':
        if (this.#data === undefined) this.#data = value
        else this.#addLine(this.#data, value)
        break
      case 'event':
        this.#event = value
        break
      case 'id':
        if (!value.includes('\0')) this.#id = value
        break
      case 'retry':
        if (DIGITS.test(value)) this.#onRetry?.(Number(value))
        break
      case '':
        this.#onComment?.(value)
        break
      default:
        this.#onUnknownLine?.(line)
    }
  }

  #addLine(data: string, line: string): void {
    this.#moreLines += 1
    if (this.#moreLines >= this.#maxDataLines)
      throw new EventTooLargeError(`An event has more than ${this.#maxDataLines} lines of data`)
    this.#data = `${data}\n${line}`
  }

  #dispatch(events: DecodedEvent[]): void {
    this.#checkSize(this.#data?.length ?? 0)
    if (this.#data !== undefined) events.push({ event: this.#event || 'message', data: this.#data, id: this.#id })
    this.#data = undefined
    this.#event = ''
    this.#moreLines = 0
    this.#bytes = 0
  }

  #checkSize(size: number): void {
    if (size > this.#maxEventBytes) throw new EventTooLargeError(`An event is larger than ${this.#maxEventBytes} bytes`)
  }
}
