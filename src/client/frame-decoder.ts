import { invalidResponse } from './client-error.ts'

/** Maximum characters before the blank line that ends a frame; larger than any frame of a gateway. */
const MAX_SIZE = 16_000_000

/** One dispatched frame. */
export interface Frame {
  /** The event's name. */
  name: string
  data: string
  /** The last `id`, set by this frame or an earlier one. */
  id: string
}

export interface FrameHandlers {
  onFrame: (frame: Frame) => void
  onComment: () => void
  onRetry: (milliseconds: number) => void
}

/**
 * Parses Server-Sent Events from text in chunks of any size, even cut between CR and LF. A frame without its blank line
 * is never dispatched, so the end of a connection needs no call: unfinished frames are dropped, as the standard
 * requires.
 */
export class FrameDecoder {
  readonly #handlers: FrameHandlers
  #rest = ''
  /** The last chunk ended in CR: skip an LF that follows. */
  #afterCr = false
  #name = ''
  #data: string[] = []
  /** Characters since the last blank line. */
  #size = 0
  #id = ''

  constructor(handlers: FrameHandlers) {
    this.#handlers = handlers
  }

  /** @throws SluiceClientError `invalid_response` for a frame that is too large. */
  push(chunk: string): void {
    if (chunk === '') return
    this.#size += chunk.length
    const text = this.#afterCr && chunk.startsWith('\n') ? chunk.slice(1) : chunk
    this.#afterCr = chunk.endsWith('\r')
    const lines = text.split(/\r\n|\r|\n/)
    const last = lines.pop() ?? ''
    for (const line of lines) {
      this.#line(this.#rest + line)
      this.#rest = ''
    }
    this.#rest += last
    if (this.#size > MAX_SIZE) throw invalidResponse('A frame is too large.')
  }

  #line(line: string): void {
    if (line === '') return this.#dispatch()
    const [, field = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? []
    switch (field) {
      case 'data':
        this.#data.push(value)
        break
      case 'event':
        this.#name = value
        break
      case 'id':
        this.#id = value
        break
      case 'retry':
        if (/^\d+$/.test(value)) this.#handlers.onRetry(Number(value))
        break
      case '':
        this.#handlers.onComment()
        break
      default: // The standard says to ignore unknown fields.
    }
  }

  #dispatch(): void {
    if (this.#data.length) this.#handlers.onFrame({ name: this.#name, data: this.#data.join('\n'), id: this.#id })
    this.#name = ''
    this.#data = []
    this.#size = 0
  }
}
