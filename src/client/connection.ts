import { invalidResponse, isPermanent, readProblem, SluiceClientError, unreachable } from './client-error.ts'
import { deferred } from './deferred.ts'
import { FrameDecoder, type FrameHandlers } from './frame-decoder.ts'
import type { Disconnect } from './reconnect.ts'
import type { Request } from './requests.ts'
import type { Send } from './send.ts'
import { watchSilence } from './watch-silence.ts'

export interface ConnectionHandlers extends FrameHandlers {
  /** Headers have come, as far as one can tell. */
  onResponse: (response: Response) => void
  /** They have come whole. May throw a `SluiceClientError`, as `onFrame` may: the connection is closed, as `unreadable`. */
  onOpen: (response: Response) => void
  onBytes: (bytes: number) => void
}

/** Characters of a body per millisecond of patience: 16 kB a second, a bad mobile connection. */
const SLOWEST_UPLOAD = 16

/** One request and its event stream, until one of the two ends. */
export class Connection {
  readonly #abort = new AbortController()
  readonly #dropped = deferred<Disconnect>()

  /** Closes it, for this reason. */
  drop(reason: Disconnect): void {
    this.#dropped.resolve(reason)
    this.#abort.abort()
  }

  /** Never rejects. `silenceMs`: how long nothing may come. */
  async run(send: Send, request: Request, handlers: ConnectionHandlers, silenceMs: number): Promise<Disconnect> {
    // Nothing is heard while the body goes up.
    const uploadMs = (request.body?.length ?? 0) / SLOWEST_UPLOAD
    const silence = watchSilence(silenceMs, () => this.drop({ type: 'silent' }), uploadMs)
    // An abort is no end to rely on: Node's `fetch` forgets a read that waits when the response has just ended.
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
    onSign()
    handlers.onResponse(response)
    if (response.status === 204) return { type: 'caught-up' }
    if (!response.ok) return { type: 'refused', error: await readProblem(response) }
    const decoder = new FrameDecoder(handlers)
    const text = new TextDecoder()
    const reader = readerOf(response)
    for (let opened = false; ;) {
      const { done = true, value } = (await reader?.read()) ?? {}
      signal.throwIfAborted()
      if (done || !value) return { type: 'lost' }
      onSign()
      // Not before: headers that were cut short are to Chromium the whole of a response that is empty.
      if (!opened) open(response, handlers)
      opened = true
      handlers.onBytes(value.length)
      decoder.push(text.decode(value, { stream: true }))
    }
  } catch (error) {
    if (error instanceof SluiceClientError) return { type: 'unreadable', error }
    return isPermanent(error)
      ? { type: 'unreadable', error: unreachable(error, false) }
      : { type: 'lost', cause: error }
  }
}

/** Undefined when there is no body. */
function readerOf({ body }: Response): ReadableStreamDefaultReader<Uint8Array> | undefined {
  if (body === null) return undefined
  // React Native's has no body, node-fetch's another kind; a wrapper may have read it.
  if (!body?.getReader || body.locked)
    throw invalidResponse('`fetch` cannot stream (no `body.getReader`): poll snapshots.')
  return body.getReader()
}

function open(response: Response, { onOpen }: ConnectionHandlers): void {
  const type = response.headers.get('content-type') ?? ''
  if (!/^text\/event-stream\b/i.test(type)) throw invalidResponse(`No event stream came: ${type}`)
  onOpen(response)
}
