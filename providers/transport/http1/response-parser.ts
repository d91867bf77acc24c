import { MalformedResponseError, MAX_HEAD_BYTES, TruncatedResponseError, type ResponseHandler } from '../transport.ts'

const MAX_CHUNK_LINE_BYTES = 4096
/**
 * Total for a response, as in Node's parser; otherwise each body byte could carry kilobytes of extensions
 * (CVE-2024-22019).
 */
const MAX_EXTENSION_BYTES = 16 * 1024
/** Sizes up to 2^52, far above any body, are exact numbers. */
const MAX_HEX_DIGITS = 13

const CR = 13
const LF = 10
const SEMICOLON = 59

/** https://www.rfc-editor.org/rfc/rfc9112.html#name-status-line */
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: .*)?$/
/** https://www.rfc-editor.org/rfc/rfc9110.html#name-fields. Takes linear time for any line (no ReDoS, CWE-1333). */
const FIELD_LINE = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(?:([!-~\x80-\xff]+(?:[ \t]+[!-~\x80-\xff]+)*)[ \t]*)?$/

type State = 'head' | 'size' | 'extension' | 'data' | 'data-end' | 'trailer' | 'length' | 'until-close' | 'over'

/**
 * Parses one response from the bytes of a connection, in chunks of any size.
 * https://www.rfc-editor.org/rfc/rfc9112.html
 *
 * Every token passes through it. A library's parser calls back for each HTTP chunk. This one joins the chunks of one
 * read in place, in the read buffer, and calls back once.
 */
export class ResponseParser {
  readonly #handler: ResponseHandler
  readonly #bodiless: boolean
  #state: State = 'head'
  /** Head bytes so far, including interim responses: the size limit applies to all of them. */
  #head = ''
  /** Where the current response begins in `#head`. */
  #headStart = 0
  /** Bytes of the body or chunk still to come. */
  #remaining = 0
  #digits = 0
  /** Length of the current line, whose content is ignored, and whether its last byte was CR. */
  #lineLength = 0
  #afterCr = false
  #extensionLength = 0
  #trailerLength = 0
  #persistent = false
  #keepAlive: string | undefined

  /** @param bodiless the response has no body, whatever its head says: it responds to HEAD */
  constructor(handler: ResponseHandler, { bodiless = false }: { bodiless?: boolean } = {}) {
    this.#handler = handler
    this.#bodiless = bodiless
  }

  /** The response is complete. */
  get over(): boolean {
    return this.#state === 'over'
  }

  /** Whether the connection can carry another request once the response is over. */
  get persistent(): boolean {
    return this.#persistent
  }

  /** The response's `keep-alive` header: how long the server keeps the idle connection. */
  get keepAlive(): string | undefined {
    return this.#keepAlive
  }

  /** Ignores all further bytes. */
  abandon(): void {
    this.#state = 'over'
  }

  /**
   * Parses the next bytes, and overwrites them.
   *
   * @throws MalformedResponseError after the body bytes before the fault have been delivered
   */
  push(bytes: Buffer): void {
    let at = this.#state === 'head' ? this.#readHead(bytes) : 0
    // Body bytes found so far in `bytes`: from `start` to `end`.
    let start = at
    let end = at
    try {
      while (at < bytes.length) {
        switch (this.#state) {
          case 'size':
            at = this.#readSize(bytes, at)
            break
          case 'extension':
          case 'data-end':
          case 'trailer':
            at = this.#readLine(bytes, at)
            break
          case 'data':
          case 'length': {
            const length = Math.min(this.#remaining, bytes.length - at)
            if (start === end) start = end = at
            else bytes.copyWithin(end, at, at + length)
            end += length
            at += length
            this.#remaining -= length
            if (this.#remaining === 0) this.#state = this.#state === 'data' ? 'data-end' : 'over'
            break
          }
          case 'until-close':
            start = at
            end = at = bytes.length
            break
          case 'over': // Unsolicited bytes after the response.
            this.#persistent = false
            at = bytes.length
            break
          case 'head':
            at = bytes.length
        }
      }
    } finally {
      if (end > start) this.#handler.onBody(bytes.subarray(start, end))
    }
  }

  /**
   * The connection was closed.
   *
   * @throws TruncatedResponseError when the response was incomplete
   */
  close(): void {
    if (this.#state === 'over') return
    if (this.#state !== 'until-close') throw new TruncatedResponseError('The connection was closed within the response')
    this.#state = 'over'
  }

  /** Returns the offset of the body, or `bytes.length`. */
  #readHead(bytes: Buffer): number {
    const before = this.#head.length
    this.#head += bytes.toString('latin1')
    while (this.#state === 'head') {
      const end = this.#head.indexOf('\r\n\r\n', Math.max(this.#headStart, before - 3))
      if ((end === -1 ? this.#head.length : end) > MAX_HEAD_BYTES)
        throw new MalformedResponseError('The head of the response is too long')
      if (end === -1) return bytes.length
      const head = this.#head.slice(this.#headStart, end)
      this.#headStart = end + 4
      this.#endHead(head)
    }
    this.#head = ''
    return this.#headStart - before
  }

  #endHead(text: string): void {
    const [statusLine = '', ...lines] = text.split('\r\n')
    const [, minor, digits] = STATUS_LINE.exec(statusLine) ?? []
    if (minor === undefined) throw new MalformedResponseError('The response has no status line of HTTP/1.1')
    const status = Number(digits)
    const headers = readFields(lines)
    if (status === 101) throw new MalformedResponseError('The server changed the protocol without being asked to')
    // An interim response, such as 100 or 103: the final response follows.
    if (status < 200) return
    this.#frameBody(minor, status, headers)
    const connection = (headers.get('connection') ?? '').toLowerCase()
    this.#persistent &&= minor === '1' ? !/\bclose\b/.test(connection) : /\bkeep-alive\b/.test(connection)
    this.#keepAlive = headers.get('keep-alive')
    this.#handler.onHead({ status, headers })
  }

  /** https://www.rfc-editor.org/rfc/rfc9112.html#name-message-body-length */
  #frameBody(minor: string, status: number, headers: ReadonlyMap<string, string>): void {
    const codings = headers.get('transfer-encoding')
    const lengths = headers.get('content-length')
    // Both lengths at once, or chunks from HTTP/1.0, are attempts at response splitting: do not reuse the connection.
    // https://www.rfc-editor.org/rfc/rfc9112.html#section-6.3-2.3 and section-6.1-16
    this.#persistent = codings === undefined || (lengths === undefined && minor === '1')
    if (this.#bodiless || status === 204 || status === 304) {
      this.#state = 'over'
    } else if (codings !== undefined) {
      if (codings.toLowerCase() !== 'chunked')
        throw new MalformedResponseError('The response has a transfer coding other than chunked')
      this.#state = 'size'
    } else if (lengths !== undefined) {
      this.#remaining = readLength(lengths)
      this.#state = this.#remaining === 0 ? 'over' : 'length'
    } else {
      this.#state = 'until-close'
      this.#persistent = false
    }
  }

  #readSize(bytes: Buffer, from: number): number {
    let at = from
    while (at < bytes.length) {
      const byte = bytes[at] ?? 0
      const digit = hexDigit(byte)
      if (digit === -1) {
        if (this.#digits === 0 || (byte !== CR && byte !== SEMICOLON && byte !== 32 && byte !== 9))
          throw new MalformedResponseError('The size of a chunk is no number')
        this.#state = 'extension'
        return at
      }
      if (++this.#digits > MAX_HEX_DIGITS) throw new MalformedResponseError('A chunk is too large')
      this.#remaining = this.#remaining * 16 + digit
      at += 1
    }
    return at
  }

  /** Skips the rest of a chunk-size line, the line break after a chunk, or a trailer. */
  #readLine(bytes: Buffer, from: number): number {
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at]
      if (byte === LF && this.#afterCr) {
        this.#afterCr = false
        this.#endLine(this.#lineLength - 1)
        this.#lineLength = 0
        return at + 1
      }
      // Parsers disagree on whether a bare CR or LF is a line break (RFC 9112, section 2.2; CVE-2022-32214).
      if (this.#afterCr || byte === LF) throw new MalformedResponseError('A line does not end in CR and LF')
      this.#afterCr = byte === CR
      const most = this.#state === 'trailer' ? MAX_HEAD_BYTES - this.#trailerLength : MAX_CHUNK_LINE_BYTES
      if (++this.#lineLength > most) throw new MalformedResponseError('A line between or after chunks is too long')
    }
    return bytes.length
  }

  #endLine(length: number): void {
    if (this.#state === 'extension') {
      this.#extensionLength += length
      if (this.#extensionLength > MAX_EXTENSION_BYTES)
        throw new MalformedResponseError('The extensions of its chunks are too long')
      this.#digits = 0
      this.#state = this.#remaining === 0 ? 'trailer' : 'data'
    } else if (this.#state === 'trailer') {
      this.#trailerLength += length
      if (length === 0) this.#state = 'over'
    } else {
      if (length > 0) throw new MalformedResponseError('A chunk is longer than its size')
      this.#state = 'size'
    }
  }
}

function readFields(lines: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>()
  for (const line of lines) {
    const [, name, value = ''] = FIELD_LINE.exec(line) ?? []
    if (name === undefined) throw new MalformedResponseError('A header of the response is malformed')
    const key = name.toLowerCase()
    const known = headers.get(key)
    headers.set(key, known === undefined ? value : `${known}, ${value}`)
  }
  return headers
}

/**
 * `content-length` may be repeated with the same value, but not with different values:
 * https://www.rfc-editor.org/rfc/rfc9110.html#section-8.6-13
 */
function readLength(value: string): number {
  const [first = '', ...others] = value.split(',').map((each) => each.trim())
  if (!/^\d{1,15}$/.test(first) || others.some((other) => other !== first))
    throw new MalformedResponseError('The length of the response is no number')
  return Number(first)
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48
  const letter = byte | 32
  return letter >= 97 && letter <= 102 ? letter - 87 : -1
}
