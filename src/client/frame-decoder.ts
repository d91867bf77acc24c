import { invalidResponse } from './client-error.ts'

/** Maximum characters before the blank line that ends a frame; more than any gateway sends. */
const MAX_SIZE = 16_000_000

/** One frame as it was dispatched. */
export interface Frame {
  /** The event's name. */
  name: string
  data: string
  /** The last `id` that was set, on this frame or before it. */
  id: string
}

export interface FrameHandlers {
  onFrame: (frame: Frame) => void
  onComment: () => void
  onRetry: (milliseconds: number) => void
}

/**
 * Server-Sent Events out of text, however it is cut, also between CR and LF. A frame without its blank line is never
 * dispatched, so the end of a connection needs no call: what is unfinished is dropped, as the standard asks.
 */
export class FrameDecoder {
  readonly #handlers: FrameHandlers
  #rest = ''
  /** The last chunk ended in CR: an LF that comes next belongs to it. */
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
      default: // The standard says to ignore what it does not know.
    }
  }

  #dispatch(): void {
    if (this.#data.length) this.#handlers.onFrame({ name: this.#name, data: this.#data.join('\n'), id: this.#id })
    this.#name = ''
    this.#data = []
    this.#size = 0
  }
}
