import type { ResponseHead } from './transport/transport.ts'
import { MAX_EVENT_BYTES, type StreamFormat } from './stream-format.ts'
import { isAnswerStatus } from './upstream-errors.ts'

/** Maximum bytes read of an error body. FastAPI quotes the request in JSON. */
const MAX_ERROR_BYTES = 64 * 1024
const MAX_JSON_ERROR_BYTES = 1024 * 1024

/** White space and a byte order mark, as Latin-1: some servers send blanks while they work. */
const BLANK = /^(?:\xef\xbb\xbf|[ \t\r\n])+/
const JSON_START = /^(?:\xef\xbb\xbf|[ \t\r\n])*[[{]/
const PARTIAL_MARK = /^\xef\xbb?$/

type Kind = 'unknown' | 'stream' | 'json' | 'other'

/**
 * The body of a response that is not declared to be a stream, in memory. SDKs do not look at the content type, so the
 * first bytes of a 2xx tell what it is: a `stream` after all, an answer as one `json` value, or something `other`,
 * like the body of an error.
 */
export class WholeBody {
  readonly head: ResponseHead
  readonly #format: StreamFormat
  #kind: Kind
  #chunks: Buffer[] = []
  #size = 0
  #maxErrorBytes = MAX_ERROR_BYTES

  constructor(head: ResponseHead, format: StreamFormat) {
    this.head = head
    this.#format = format
    this.#kind = isAnswerStatus(head.status) ? 'unknown' : 'other'
  }

  get kind(): Kind {
    return this.#kind
  }

  /** Copies the bytes. */
  add(bytes: Buffer): void {
    this.#chunks.push(Buffer.from(bytes))
    const wasSmall = this.#size < MAX_ERROR_BYTES
    this.#size += bytes.length
    if (wasSmall && this.#size >= MAX_ERROR_BYTES && JSON_START.test(this.bytes.toString('latin1', 0, 64)))
      this.#maxErrorBytes = MAX_JSON_ERROR_BYTES
    if (this.#kind === 'unknown') this.#kind = this.#recognise()
  }

  /** As much has come as is read of this kind of body. */
  get full(): boolean {
    return this.#size >= this.#maxBytes
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  get text(): string {
    return this.bytes.toString('utf8', 0, this.#maxBytes)
  }

  get #maxBytes(): number {
    return this.#kind === 'json' ? MAX_EVENT_BYTES : this.#maxErrorBytes
  }

  #recognise(): Kind {
    const all = this.bytes
    const [blank = ''] = BLANK.exec(all.toString('latin1')) ?? []
    const rest = all.subarray(blank.length)
    this.#chunks = [rest]
    this.#size = rest.length
    const start = rest.toString('latin1', 0, 64)
    if (start === '' || PARTIAL_MARK.test(start)) return 'unknown'
    const begins = this.#format.begins?.(start) ?? 'no'
    if (begins === 'perhaps') return 'unknown'
    return begins === 'yes' ? 'stream' : /^[[{]/.test(start) ? 'json' : 'other'
  }
}
