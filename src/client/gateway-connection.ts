import { invalidResponse, readProblem, SluiceClientError } from './client-error.ts'
import { FrameDecoder, type FrameHandlers } from './frame-decoder.ts'
import type { Disconnect } from './reconnect.ts'
import type { Request, Send } from './requests.ts'
import { deferred, watchSilence } from './waiting.ts'

export interface ConnectionHandlers extends FrameHandlers {
  /** Headers have arrived, possibly cut short. */
  onResponse: (response: Response) => void
  /**
   * The headers are complete. May throw a `SluiceClientError`, as may `onFrame`: closes the connection as `unreadable`.
   */
  onOpen: (response: Response) => void
  onBytes: (bytes: number) => void
}

/** Characters of a request body that extend the timeout by 1 ms: 16 kB a second, a bad mobile connection. */
const SLOWEST_UPLOAD = 16

/** How long a body may take until it is uploaded; no response arrives in the meantime. */
export function uploadMs(body = ''): number {
  return body.length / SLOWEST_UPLOAD
}

/** One request to the gateway and its event stream, until either ends. */
export class GatewayConnection {
  readonly #abort = new AbortController()
  readonly #dropped = deferred<Disconnect>()

  /** Closes the connection with this reason. */
  drop(reason: Disconnect): void {
    this.#dropped.resolve(reason)
    this.#abort.abort()
  }

  /** Never rejects. `silenceMs` is the longest allowed silence; `onOpen` may change it. */
  async run(send: Send, request: Request, handlers: ConnectionHandlers, silenceMs: () => number): Promise<Disconnect> {
    const silence = watchSilence(silenceMs, () => this.drop({ type: 'silent' }), uploadMs(request.body))
    // An abort alone is not enough: in Node's `fetch`, a pending read may never settle when the response has just
    // ended.
    const { signal } = this.#abort
    const end = await Promise.race([this.#dropped.promise, receive(send, request, handlers, signal, silence.pat)])
    silence.stop()
    this.#abort.abort()
    return end
  }
}

async function receive(
  send: Send,
  request: Request,
  handlers: ConnectionHandlers,
  signal: AbortSignal,
  onSign: () => void,
): Promise<Disconnect> {
  try {
    const response = await send(request, signal)
    signal.throwIfAborted()
    handlers.onResponse(response)
    onSign()
    if (response.status === 204) return { type: 'caught-up' }
    if (!response.ok) return { type: 'refused', error: await readProblem(response) }
    const decoder = new FrameDecoder(handlers)
    const text = new TextDecoder()
    const reader = readerOf(response)
    for (let opened = false; ;) {
      const { done = true, value } = (await reader?.read()) ?? {}
      signal.throwIfAborted()
      if (done || !value) return { type: 'lost' }
      // Only after the first bytes: Chromium reports truncated headers as a complete, empty response.
      if (!opened) open(response, handlers)
      opened = true
      onSign()
      handlers.onBytes(value.length)
      decoder.push(text.decode(value, { stream: true }))
    }
  } catch (error) {
    if (error instanceof SluiceClientError) return { type: 'unreadable', error }
    return { type: 'lost', cause: error }
  }
}

/** Undefined when the response has no body. */
function readerOf({ body }: Response): ReadableStreamDefaultReader<Uint8Array> | undefined {
  if (body === null) return undefined
  // React Native has no body stream, node-fetch has another type, and a wrapper may have read it.
  if (!body?.getReader || body.locked)
    throw invalidResponse('`fetch` cannot stream (no `body.getReader`): poll snapshots.')
  return body.getReader()
}

function open(response: Response, { onOpen }: ConnectionHandlers): void {
  const type = response.headers.get('content-type') ?? ''
  if (!/^text\/event-stream\b/i.test(type)) throw invalidResponse(`No event stream came: ${type}`)
  onOpen(response)
}
