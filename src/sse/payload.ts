/** Up to this size a string goes to the socket as it is; Node encodes it on the way without a buffer in between. */
const STRING_BYTES = 4096

/** Frames on their way to any number of sockets. What all of them are sent is made once. */
export class Payload {
  readonly text: string
  readonly byteLength: number
  #chunk: string | Buffer | undefined
  #data: string | Buffer | undefined

  constructor(text: string) {
    this.text = text
    this.byteLength = Buffer.byteLength(text)
  }

  /** As one chunk of HTTP/1.1, size and all. */
  get chunk(): string | Buffer {
    return (this.#chunk ??= this.#shared(`${this.byteLength.toString(16)}\r\n${this.text}\r\n`))
  }

  /** As it is, for what frames it otherwise. */
  get data(): string | Buffer {
    return (this.#data ??= this.#shared(this.text))
  }

  /**
   * A large one is a buffer: what a full socket does not take waits in memory, and a thousand of them can wait for the
   * same buffer.
   */
  #shared(text: string): string | Buffer {
    return this.byteLength > STRING_BYTES ? Buffer.from(text) : text
  }
}
