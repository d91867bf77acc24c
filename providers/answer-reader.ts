import { isRecord } from '../src/json.ts'
import type { ProviderError, StreamEvent } from './provider.ts'
import { MAX_EVENT_BYTES, type MessageDecoder, type MessageParser, type StreamFormat } from './stream-format.ts'
import type { ResponseHead } from './transport/transport.ts'
import { readErrorBody, readJson } from './error-body.ts'
import { findError } from './error-objects.ts'
import {
  isAnswerStatus,
  messageError,
  responseError,
  sentInvalid,
  sentOverLimit,
  strayError,
  type RefusedBody,
} from './upstream-errors.ts'
import { WholeBody } from './whole-body.ts'

/** Before a response has begun. */
const NO_HEAD: ResponseHead = { status: 0, headers: new Map() }

/**
 * Reads the body of one response, whatever form it has: a stream of messages, an answer in one piece, or an error. Adds
 * the events to a list; `read` and `end` throw a `ProviderError` after the events before it.
 */
export class AnswerReader {
  readonly #events: StreamEvent[]
  readonly #parser: MessageParser
  readonly #format: StreamFormat
  readonly #decoder: MessageDecoder
  #head = NO_HEAD
  /** The body of a response that is not a stream of messages, as far as is known. */
  #whole: WholeBody | undefined
  /** Whether a message of the stream has come. */
  #begun = false
  #ended = false

  constructor(format: StreamFormat, parser: MessageParser, events: StreamEvent[]) {
    this.#format = format
    this.#parser = parser
    this.#decoder = format.createDecoder()
    this.#events = events
  }

  begin(head: ResponseHead): void {
    this.#head = head
    const type = head.headers.get('content-type') ?? ''
    if (!isAnswerStatus(head.status) || (type !== '' && !this.#format.matches(type)))
      this.#whole = new WholeBody(head, this.#format)
  }

  /** The head of the response has come. */
  get begun(): boolean {
    return this.#head !== NO_HEAD
  }

  /** The response is no answer: only its body is missing. */
  get refused(): boolean {
    return this.#whole?.kind === 'other'
  }

  /** The last event has been read, though the response may go on. */
  get ended(): boolean {
    return this.#ended
  }

  read(bytes: Buffer): void {
    if (this.#whole) this.#readWhole(this.#whole, bytes)
    else this.#readStream(bytes)
  }

  end(): void {
    if (this.#whole) return this.#endWhole(this.#whole)
    try {
      for (const { data, event } of this.#decoder.end()) {
        this.#begun = true
        this.#events.push(...this.#parser.read(data, event))
      }
      const answer = this.#begun ? undefined : readJson(this.#decoder.stray ?? '')
      if (answer === undefined) this.#finish()
      else this.#readAnswer(answer)
    } catch (error) {
      throw this.explain(messageError(error))
    }
  }

  /** The error for a response that is no answer, with what has come of its body. */
  refusal(): ProviderError {
    const text = this.#whole?.text ?? ''
    if (this.#head.status < 400) return this.#notAnAnswer(readJson(text))
    return this.#refusal({ error: readErrorBody(text, this.#head, this.#format) })
  }

  /** A stream without its end may say why in plain JSON, outside its messages. */
  explain(error: ProviderError): ProviderError {
    if (error.code !== 'upstream_truncated' && error.code !== 'upstream_disconnected') return error
    return strayError(this.#decoder.stray ?? '', this.#parser.wire, error.usage) ?? error
  }

  #readStream(bytes: Buffer): void {
    try {
      for (const { data, event } of this.#decoder.push(bytes)) {
        this.#begun = true
        const events = this.#parser.read(data, event)
        for (const each of events) this.#events.push(each)
        if (this.#parser.finished) return this.#finish()
      }
    } catch (error) {
      throw this.explain(messageError(error))
    }
  }

  #readWhole(body: WholeBody, bytes: Buffer): void {
    body.add(bytes)
    if (body.kind === 'stream') {
      this.#whole = undefined
      return this.#readStream(body.bytes)
    }
    if (!body.full) return
    throw body.kind === 'json' ? sentOverLimit(`a whole answer of more than ${MAX_EVENT_BYTES} bytes`) : this.refusal()
  }

  #endWhole(body: WholeBody): void {
    if (body.kind !== 'json') throw this.refusal()
    const answer = readJson(body.text)
    if (answer === undefined) throw sentInvalid('broken JSON')
    this.#readAnswer(answer)
  }

  /** Reads a body of JSON: an answer in one piece, or an error. */
  #readAnswer(body: unknown): void {
    const events = isRecord(body) ? this.#parser.readWhole?.(body) : undefined
    if (!events) throw this.#notAnAnswer(body)
    this.#events.push(...events)
    this.#finish()
  }

  #finish(): void {
    this.#ended = true
    this.#events.push(...this.#parser.end())
  }

  #notAnAnswer(body: unknown): ProviderError {
    return this.#refusal({ error: findError(body), isJson: body !== undefined })
  }

  #refusal(body: RefusedBody): ProviderError {
    return responseError(this.#head, body, this.#format.mediaType, this.#parser.wire)
  }
}
