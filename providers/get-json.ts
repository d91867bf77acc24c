import { parseJson } from '../src/json.ts'
import type { StopSignal } from '../src/stream/stop-signal.ts'
import type { Wire } from '../src/wires/wire.ts'
import { createDecompressor, type Decompressor } from './transport/decompress.ts'
import type { ExchangeControl, ExchangeHandler, ResponseHead, Transport } from './transport/transport.ts'
import { connectionError, invalidResponse, readError, responseError, responseOverLimit } from './upstream-errors.ts'

/** OpenRouter's list of models takes about 1 MB. */
const MAX_BYTES = 4 * 1024 * 1024

export interface JsonRequest {
  transport: Pick<Transport, 'request'>
  path: string
  headers: Readonly<Record<string, string>>
  wire: Wire
  signal: StopSignal
  connectTimeoutMs: number
}

/**
 * The JSON at a path of an upstream. Does not follow redirects: these would receive the key.
 *
 * @throws ProviderError for any other answer, without its text; the signal's reason once it is aborted
 */
export async function getJson(request: JsonRequest): Promise<unknown> {
  request.signal.throwIfAborted()
  const exchange = new JsonExchange(request)
  return new Promise((resolve, reject) => exchange.start(resolve, reject))
}

class JsonExchange implements ExchangeHandler {
  readonly #request: JsonRequest
  #resolve: (value: unknown) => void = () => {}
  #reject: (reason: unknown) => void = () => {}
  #exchange: ExchangeControl | undefined
  #head: ResponseHead | undefined
  #decompressor: Decompressor | undefined
  #chunks: Buffer[] = []
  #size = 0
  #over = false

  constructor(request: JsonRequest) {
    this.#request = request
  }

  start(resolve: (value: unknown) => void, reject: (reason: unknown) => void): void {
    this.#resolve = resolve
    this.#reject = reject
    const { transport, path, headers, signal, connectTimeoutMs } = this.#request
    const fields = { accept: 'application/json', 'accept-encoding': 'identity', ...headers }
    signal.addEventListener('abort', this.#onAbort)
    this.#exchange = transport.request({ method: 'GET', path, headers: fields, connectTimeoutMs }, this)
  }

  onHead(head: ResponseHead): void {
    this.#head = head
    if (head.status !== 200) return this.#fail(responseError(head, {}, 'JSON', this.#request.wire))
    try {
      this.#decompressor = createDecompressor(head.headers.get('content-encoding'), {
        onData: (bytes) => this.#read(bytes),
        onIntermediateBytes: () => {},
        onDrain: () => this.#exchange?.resume(),
        onEnd: () => this.#end(),
        onError: (error) => this.#fail(readError(error)),
      })
    } catch (error) {
      this.#fail(error)
    }
  }

  onBody(bytes: Buffer): void {
    if (this.#over) return
    const copy = Buffer.from(bytes)
    if (!this.#decompressor) this.#read(copy)
    else if (!this.#decompressor.write(copy)) this.#exchange?.pause()
  }

  onEnd(): void {
    if (this.#decompressor) this.#decompressor.end()
    else this.#end()
  }

  onError(error: unknown): void {
    this.#fail(this.#head ? readError(error) : connectionError(error))
  }

  #read(bytes: Buffer): void {
    if (this.#over) return
    this.#size += bytes.length
    if (this.#size > MAX_BYTES) this.#fail(responseOverLimit(`The upstream sent more than ${MAX_BYTES} bytes.`))
    else this.#chunks.push(bytes)
  }

  #end(): void {
    if (this.#over) return
    try {
      const value = parseJson(Buffer.concat(this.#chunks).toString())
      this.#finish()
      this.#resolve(value)
    } catch {
      this.#fail(invalidResponse('The upstream sent no JSON.'))
    }
  }

  readonly #onAbort = (): void => this.#fail(this.#request.signal.reason)

  #fail(error: unknown): void {
    if (this.#over) return
    this.#finish()
    this.#exchange?.abort()
    this.#decompressor?.destroy()
    this.#reject(error)
  }

  #finish(): void {
    this.#over = true
    this.#chunks = []
    this.#request.signal.removeEventListener('abort', this.#onAbort)
  }
}
