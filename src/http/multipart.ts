import { SluiceError } from '../errors.ts'

/** Where the value of the wanted field is: byte offsets in the body. */
export interface FormField {
  value: string
  start: number
  end: number
}

/** Largest head of a part, in bytes. */
const MAX_HEAD_BYTES = 4096
/** Largest value of the wanted field, in bytes. */
const MAX_VALUE_BYTES = 1024

/**
 * The boundary in the content type of a form; undefined when it is no form, or has none.
 * https://www.rfc-editor.org/rfc/rfc2046.html#section-5.1.1
 */
export function readBoundary(contentType: string): string | undefined {
  if (!/^multipart\/form-data\s*(;|$)/i.test(contentType)) return undefined
  const [, quoted, plain] = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70})(?=\s*(?:;|$)))/i.exec(contentType) ?? []
  return quoted ?? plain
}

/**
 * Finds one field of a form while its bytes arrive, without keeping them. Strict, so that no server reads the form in
 * another way: a field given twice or as a file is refused, and so is all that parsers disagree on.
 * https://www.rfc-editor.org/rfc/rfc7578.html
 */
export class FormScanner {
  /** Set once the value is complete. */
  found: FormField | undefined
  readonly #name: string
  readonly #delimiter: Buffer
  #state: 'body' | 'delimiter' | 'head' | 'over' = 'body'
  /** The current part is the wanted field. */
  #wanted = false
  /** Bytes that may belong to a delimiter, a head or the value. The first delimiter may begin the body. */
  #pending: Buffer = Buffer.from('\r\n')
  /** Offset of `#pending` in the body. */
  #offset = -2

  constructor(boundary: string, name: string) {
    this.#delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1')
    this.#name = name
  }

  /** The last delimiter has come. */
  get over(): boolean {
    return this.#state === 'over'
  }

  /** @throws SluiceError `invalid_request` */
  push(bytes: Uint8Array): void {
    if (this.over) return
    const window = Buffer.concat([this.#pending, bytes])
    let at = 0
    for (let next = this.#step(window, at); next !== undefined; next = this.#step(window, at)) at = next
    const kept = this.over ? window.length : this.#keepFrom(window, at)
    this.#pending = Buffer.from(window.subarray(kept))
    this.#offset += kept
  }

  /** Reads on from an offset; returns the next one, or undefined when bytes are missing. */
  #step(window: Buffer, at: number): number | undefined {
    switch (this.#state) {
      case 'body': {
        const end = window.indexOf(this.#delimiter, at)
        if (end === -1) return undefined
        if (this.#wanted) this.#take(window, at, end)
        this.#state = 'delimiter'
        return end + this.#delimiter.length
      }
      case 'delimiter': {
        if (window.length < at + 2) return undefined
        const mark = window.toString('latin1', at, at + 2)
        if (mark !== '--' && mark !== '\r\n') throw malformed('a boundary is followed by other text')
        this.#state = mark === '--' ? 'over' : 'head'
        return this.over ? undefined : at
      }
      case 'head': {
        const end = window.indexOf('\r\n\r\n', at)
        if ((end === -1 ? window.length : end) - at > MAX_HEAD_BYTES) throw malformed('the head of a part is too long')
        if (end === -1) return undefined
        this.#wanted = this.#isWanted(window.toString('utf8', at, end))
        this.#state = 'body'
        return end + 4
      }
      case 'over':
        return undefined
    }
  }

  #keepFrom(window: Buffer, at: number): number {
    if (this.#state !== 'body') return at
    if (!this.#wanted) return Math.max(at, window.length - this.#delimiter.length + 1)
    if (window.length - at > MAX_VALUE_BYTES) throw malformed(`the value of ${this.#name} is too long`)
    return at
  }

  #take(window: Buffer, start: number, end: number): void {
    if (end - start > MAX_VALUE_BYTES) throw malformed(`the value of ${this.#name} is too long`)
    this.#wanted = false
    this.found = {
      value: window.toString('utf8', start, end),
      start: this.#offset + start,
      end: this.#offset + end,
    }
  }

  #isWanted(head: string): boolean {
    const lines = head.split('\r\n').filter((line) => line !== '')
    const dispositions = lines.filter((line) => /^content-disposition\s*:/i.test(line))
    const [disposition] = dispositions
    if (disposition === undefined || dispositions.length > 1) throw malformed('a part has no name')
    const parameters = readParameters(disposition)
    if (parameters.get('name') !== this.#name) return false
    if (parameters.has('filename')) throw malformed(`${this.#name} is a file`)
    if (this.found) throw malformed(`${this.#name} is given twice`)
    if (lines.some((line) => /^content-transfer-encoding\s*:/i.test(line))) throw malformed(`${this.#name} is encoded`)
    return true
  }
}

const PARAMETER = /\s*;\s*([\w*-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))/y

/** @throws SluiceError for a name in a form that parsers read differently */
function readParameters(disposition: string): Map<string, string> {
  const [start = ''] = /^content-disposition\s*:\s*form-data/i.exec(disposition) ?? []
  if (start === '') throw malformed('a part is no field of a form')
  const parameters = new Map<string, string>()
  let at = start.length
  while (disposition.slice(at).trim() !== '') {
    PARAMETER.lastIndex = at
    const [all, name = '', quoted, plain = ''] = PARAMETER.exec(disposition) ?? []
    const key = name.toLowerCase()
    const isUnclear = key === 'name*' || (key === 'name' && quoted?.includes('\\')) || parameters.has(key)
    if (all === undefined || isUnclear) throw malformed('the name of a part is unclear')
    parameters.set(key, quoted ?? plain)
    at += all.length
  }
  if (!parameters.has('name')) throw malformed('a part has no name')
  return parameters
}

function malformed(what: string): SluiceError {
  return new SluiceError('invalid_request', `The form cannot be read: ${what}.`)
}
