/** Up to this size a string is written to the socket directly; Node encodes it without an intermediate buffer. */
const STRING_BYTES = 4096

/** Frames to send to any number of sockets. The encoded form is created once and shared. */
export class Payload {
  readonly text: string
  readonly byteLength: number
  #chunk: string | Buffer | undefined
  #data: string | Buffer | undefined

  constructor(text: string) {
    this.text = text
    this.byteLength = Buffer.byteLength(text)
  }

  /** As one HTTP/1.1 chunk, including its size. */
  get chunk(): string | Buffer {
    return (this.#chunk ??= this.#shared(`${this.byteLength.toString(16)}\r\n${this.text}\r\n`))
  }

  /** Without chunk framing, for responses with other framing. */
  get data(): string | Buffer {
    return (this.#data ??= this.#shared(this.text))
  }

  /** Large payloads are buffers: data for full sockets waits in memory, and a thousand sockets can share one buffer. */
  #shared(text: string): string | Buffer {
    return this.byteLength > STRING_BYTES ? Buffer.from(text) : text
  }
}
