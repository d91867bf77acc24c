import { Readable } from 'node:stream'
import { isRecord, type Fields } from '../src/json.ts'
import type { ForwardResponse } from './provider.ts'
import type { StopSignal } from '../src/stream/stop-signal.ts'
import type { Wire } from '../src/wires/wire.ts'
import { readErrorBody, readJson } from './error-body.ts'
import { headerSecrets, withoutSecrets } from './secrets.ts'
import { SSE } from './stream-format.ts'
import type {
  ExchangeControl,
  ExchangeHandler,
  ResponseHead,
  Transport,
  TransportRequest,
} from './transport/transport.ts'
import {
  connectionError,
  invalidResponse,
  readError,
  responseError,
  sentInvalid,
  sentOverLimit,
} from './upstream-errors.ts'

/** The beginning of a failed response, in which its error is looked for, in bytes. */
const MAX_ERROR_BYTES = 64 * 1024

/** How long the body of a failed response is waited for, in milliseconds. */
const ERROR_MS = 1000

export interface PassedRequest extends Pick<TransportRequest, 'path' | 'headers' | 'body' | 'connectTimeoutMs'> {
  transport: Pick<Transport, 'request'>
  /** Whose errors the upstream sends. */
  wire: Wire
  /** Redacted from errors, in addition to secret headers. */
  secrets: readonly string[]
  signal: StopSignal
}

/**
 * Sends a request; resolves with the head of its response and the body to read, or rejects with a `ProviderError`.
 * Rejects with the signal's reason when that is aborted; then, and when the body is left, the connection is closed.
 */
export function passOn(request: PassedRequest): Promise<ForwardResponse> {
  return new Promise((resolve, reject) => new PassedExchange(request, resolve, reject))
}

/** Largest response that is read whole, in bytes. */
const MAX_RESULT_BYTES = 64 * 1024

/** Sends a request for a small JSON object. */
export async function askFor(request: PassedRequest): Promise<Fields> {
  const { body } = await passOn(request)
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const bytes of body) {
    length += bytes.length
    if (length > MAX_RESULT_BYTES) throw sentOverLimit(`a result of more than ${MAX_RESULT_BYTES} bytes`)
    chunks.push(bytes)
  }
  const result = readJson(Buffer.concat(chunks).toString())
  if (!isRecord(result)) throw sentInvalid('something that is no JSON object')
  return result
}

class PassedExchange implements ExchangeHandler {
  readonly #request: Omit<PassedRequest, 'body'>
  readonly #resolve: (response: ForwardResponse) => void
  readonly #reject: (error: unknown) => void
  readonly #exchange: ExchangeControl
  #body: Readable | undefined
  /** A response that failed, and the beginning of its body. */
  #refusal: { head: ResponseHead; text: Buffer; timer: NodeJS.Timeout } | undefined

  constructor(
    { body, ...request }: PassedRequest,
    resolve: (response: ForwardResponse) => void,
    reject: (error: unknown) => void,
  ) {
    this.#request = request
    this.#resolve = resolve
    this.#reject = reject
    const { transport, path, headers, signal, connectTimeoutMs } = request
    signal.throwIfAborted()
    const fields = { 'accept-encoding': 'identity', ...headers }
    this.#exchange = transport.request({ method: 'POST', path, headers: fields, body, connectTimeoutMs }, this)
    signal.addEventListener('abort', this.#onAbort)
  }

  onHead(head: ResponseHead): void {
    const { status, headers } = head
    if (status < 200 || status >= 300) {
      this.#refusal = { head, text: Buffer.alloc(0), timer: setTimeout(() => this.#refuse(), ERROR_MS) }
      return
    }
    const body = new Readable({
      read: () => this.#exchange.resume(),
      destroy: (error, callback) => {
        this.#leave()
        callback(error)
      },
    })
    // The error reaches the reader, or nobody: the response may be left before it is read.
    body.on('error', () => {})
    this.#body = body
    this.#resolve({ status, headers, body })
  }

  onBody(bytes: Buffer): void {
    if (this.#body) {
      // Copied: the bytes are overwritten after this call.
      if (!this.#body.push(Buffer.from(bytes))) this.#exchange.pause()
    } else if (this.#refusal) {
      this.#refusal.text = Buffer.concat([this.#refusal.text, bytes])
      if (this.#refusal.text.length >= MAX_ERROR_BYTES) this.#refuse()
    }
  }

  onEnd(): void {
    if (this.#refusal) return this.#refuse()
    this.#request.signal.removeEventListener('abort', this.#onAbort)
    this.#body?.push(null)
  }

  onError(error: unknown): void {
    if (this.#refusal) this.#refuse()
    else this.#fail(this.#body ? readError(error) : connectionError(error))
  }

  /** Reports a response that failed, with what has come of it. */
  #refuse(): void {
    if (!this.#refusal) return
    const { head, text } = this.#refusal
    const { wire } = this.#request
    this.#fail(
      head.status < 400
        ? invalidResponse(`The upstream answered ${head.status} instead of a result.`)
        : responseError(head, { error: readErrorBody(text.toString(), head, SSE) }, 'a result', wire),
    )
  }

  #fail(error: ReturnType<typeof readError>): void {
    const { secrets, headers } = this.#request
    this.#end(withoutSecrets(error, [...secrets, ...headerSecrets(headers)]))
  }

  readonly #onAbort = (): void => this.#end(this.#request.signal.reason)

  #end(error: unknown): void {
    this.#leave()
    this.#reject(error)
    this.#body?.destroy(error instanceof Error ? error : new Error('The request was aborted', { cause: error }))
  }

  /** Closes the connection, unless the response is complete. */
  #leave(): void {
    clearTimeout(this.#refusal?.timer)
    this.#refusal = undefined
    this.#request.signal.removeEventListener('abort', this.#onAbort)
    this.#exchange.abort()
  }
}
