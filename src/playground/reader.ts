import { createClient, type ChatBody, type ChatStream, type Client, type StreamOptions } from '../client/index.ts'
import type { Fetch } from './gateway-key.ts'
import { RawFrames, tapEventStream, type RawFrame } from './raw-frames.ts'
import { ReaderRecord } from './reader-record.ts'

/** How long a slow reader stays away after each frame, in milliseconds. */
const SLOW_MS = 1200

/** The folder of the page, so that a gateway behind a path of another host works as well. */
const baseUrl = new URL('.', location.href).href

export interface ReaderOptions {
  /** Sends a key or a ticket along. */
  fetch: Fetch
  onChange: () => void
  /** A frame as it came, before the SDK has seen it. */
  onFrame?: (frame: RawFrame) => void
}

/** One reader of a stream, on a line of its own, with a record of what came over it. */
export class Reader {
  readonly record = new ReaderRecord()
  readonly frames: RawFrames
  readonly stream: ChatStream
  readonly #line: Line
  readonly #leave = new AbortController()
  /**
   * Hangs up after every frame, and comes back a while later. Just not reading would show nothing: a page cannot make
   * its socket smaller, and a chat fits many times over into what browsers and kernels buffer.
   */
  slow = false

  private constructor(
    open: (client: Client, options: StreamOptions) => ChatStream,
    { fetch, onChange, onFrame }: ReaderOptions,
  ) {
    this.frames = new RawFrames(onFrame)
    this.#line = new Line(fetch, this.frames)
    const client = createClient({
      baseUrl,
      fetch: this.#line.fetch,
      backoff: (attempt, retryMs) => (this.slow ? SLOW_MS : Math.min(retryMs * 2 ** (attempt - 1), 30_000)),
    })
    this.stream = open(client, {
      signal: this.#leave.signal,
      onActivity: (activity) => {
        this.record.add(activity)
        if (this.slow && activity.type === 'frame' && activity.event.type === 'delta') this.#hangUp('slow')
        onChange()
      },
    })
  }

  static start(body: ChatBody, options: ReaderOptions): Reader {
    return new Reader((client, own) => client.chat(body, own), options)
  }

  static join(id: string, options: ReaderOptions): Reader {
    return new Reader((client, own) => client.attach(id, own), options)
  }

  cut(): void {
    this.#hangUp('cut')
  }

  get left(): boolean {
    return this.#leave.signal.aborted
  }

  /** Leaves the stream, which goes on. */
  leave(): void {
    this.#leave.abort()
  }

  #hangUp(cause: 'cut' | 'slow'): void {
    this.record.expectDisconnect(cause)
    this.#line.cut()
  }
}

/** The way to the gateway, with a place to cut it. */
class Line {
  readonly #fetch: Fetch
  readonly #frames: RawFrames
  #connection: AbortController | undefined

  constructor(fetch: Fetch, frames: RawFrames) {
    this.#fetch = fetch
    this.#frames = frames
  }

  readonly fetch: Fetch = async (input, init = {}) => {
    // What tells the gateway to stop is no stream, and is not cut with it.
    if (init.method === 'DELETE') return this.#fetch(input, init)
    const connection = (this.#connection = new AbortController())
    const { signal } = init
    signal?.addEventListener('abort', () => connection.abort(signal.reason), { signal: connection.signal })
    const response = await this.#fetch(input, { ...init, signal: connection.signal })
    this.#frames.restart()
    return tapEventStream(response, (text) => this.#frames.push(text))
  }

  /** As a tunnel does it: the SDK is told nothing but that its connection broke. */
  cut(): void {
    this.#connection?.abort(new TypeError('The connection was cut'))
  }
}
