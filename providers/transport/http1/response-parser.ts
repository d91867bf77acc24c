import { MalformedResponseError, MAX_HEAD_BYTES, TruncatedResponseError, type ResponseHandler } from '../transport.ts'

const MAX_CHUNK_LINE_BYTES = 4096
/** Total for a response, as in Node's parser: else each body byte could carry kilobytes of extensions (CVE-2024-22019). */
const MAX_EXTENSION_BYTES = 16 * 1024
/** 2^52, more than a body ever has: sizes stay exact. */
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
 * Bytes of one connection in, one response out, however the bytes are cut.
 * https://www.rfc-editor.org/rfc/rfc9112.html
 *
 * A library's parser would do, were this not the path of every token: it calls back for each chunk of a read, where
 * this one moves the chunks of a read together, within the buffer that they came in, and calls back once.
 */
export class ResponseParser {
  readonly #handler: ResponseHandler
  readonly #bodiless: boolean
  #state: State = 'head'
  /** What has come of the head: interim responses too, so that they end as well. */
  #head = ''
  /** Where in `#head` the response begins that is being read. */
  #headStart = 0
  /** Bytes that are to come of what `state` says. */
  #remaining = 0
  #digits = 0
  /** Bytes of a line that is read to be ignored, and whether the last of them was CR. */
  #lineLength = 0
  #afterCr = false
  #extensionLength = 0
  #trailerLength = 0
  #persistent = false
  #keepAlive: string | undefined

  /** @param bodiless the response has no body, whatever its head says: it answers HEAD */
  constructor(handler: ResponseHandler, { bodiless = false }: { bodiless?: boolean } = {}) {
    this.#handler = handler
    this.#bodiless = bodiless
  }

  /** All of the response has come. */
  get over(): boolean {
    return this.#state === 'over'
  }

  /** Whether the connection can carry another request once the response is over. */
  get persistent(): boolean {
    return this.#persistent
  }

  /** What the server says of how long it will wait for that, as it says it. */
  get keepAlive(): string | undefined {
    return this.#keepAlive
  }

  /** Tells of nothing from now on. */
  abandon(): void {
    this.#state = 'over'
  }

  /**
   * The next bytes that came, which are overwritten in the course of it.
   *
   * @throws MalformedResponseError after what came before it has been told
   */
  push(bytes: Buffer): void {
    let at = this.#state === 'head' ? this.#readHead(bytes) : 0
    // The body within these bytes: from `start` to `end`, so far.
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
          case 'over': // What follows answers nothing that was asked.
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
   * @throws TruncatedResponseError when that is not how the response ends
   */
  close(): void {
    if (this.#state === 'over') return
    if (this.#state !== 'until-close') throw new TruncatedResponseError('The connection was closed within the response')
    this.#state = 'over'
  }

  /** Returns where the body begins, or `bytes.length`. */
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
    // An interim response, as 100 and 103 are: the one that was asked for follows.
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
    // Both lengths at once, or chunks from HTTP/1.0, are attempts at response splitting: use the connection no further.
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

  /** What is left of the line of a size, the line break after a chunk, or a trailer; nothing in them is of use. */
  #readLine(bytes: Buffer, from: number): number {
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at]
      if (byte === LF && this.#afterCr) {
        this.#afterCr = false
        this.#endLine(this.#lineLength - 1)
        this.#lineLength = 0
        return at + 1
      }
      // A bare CR or LF is read as a line break by some and not by others (RFC 9112, section 2.2; CVE-2022-32214).
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
 * The same length may be given more than once, different ones may not:
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
