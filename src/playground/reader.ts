import { createClient, type ChatBody, type ChatStream, type Client, type StreamOptions } from '../client/index.ts'
import { ReaderRecord } from './reader-record.ts'

/** How long a slow reader stays away after each frame, in milliseconds. */
const SLOW_MS = 1200

/** The folder of the page, so that a gateway behind a path of another host works as well. */
const baseUrl = new URL('.', location.href).href

/** One reader of a stream, on a line of its own, with a record of what came over it. */
export class Reader {
  readonly record = new ReaderRecord()
  readonly stream: ChatStream
  readonly #line = new Line()
  readonly #leave = new AbortController()
  /**
   * Hangs up after every frame, and comes back a while later. Just not reading would show nothing: a page cannot make
   * its socket smaller, and a chat fits many times over into what browsers and kernels buffer.
   */
  slow = false

  private constructor(open: (client: Client, options: StreamOptions) => ChatStream, onChange: () => void) {
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

  static start(body: ChatBody, onChange: () => void): Reader {
    return new Reader((client, options) => client.chat(body, options), onChange)
  }

  static join(id: string, onChange: () => void): Reader {
    return new Reader((client, options) => client.attach(id, options), onChange)
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
  #connection: AbortController | undefined

  readonly fetch: typeof globalThis.fetch = (input, init = {}) => {
    // What tells the gateway to stop is no stream, and is not cut with it.
    if (init.method === 'DELETE') return globalThis.fetch(input, init)
    const connection = (this.#connection = new AbortController())
    const { signal } = init
    signal?.addEventListener('abort', () => connection.abort(signal.reason), { signal: connection.signal })
    return globalThis.fetch(input, { ...init, signal: connection.signal })
  }

  /** As a tunnel does it: the SDK is told nothing but that its connection broke. */
  cut(): void {
    this.#connection?.abort(new TypeError('The connection was cut'))
  }
}
