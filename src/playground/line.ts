/** The way to the gateway, with a place to cut it. */
export class Line {
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
