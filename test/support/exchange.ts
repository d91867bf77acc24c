import type {
  ExchangeControl,
  ExchangeHandler,
  ResponseHead,
  Transport,
  TransportRequest,
} from '../../providers/transport/transport.ts'

/** One exchange, and a record of its handler's calls. */
export class Exchange implements ExchangeHandler {
  readonly told: string[] = []
  body = ''
  error: unknown
  /** Resolves with the last call. */
  readonly over: Promise<string>
  readonly head: Promise<ResponseHead>
  readonly control: ExchangeControl
  #onHead: (head: ResponseHead) => void = () => {}
  #onOver: (how: string) => void = () => {}

  constructor(transport: Pick<Transport, 'request'>, request: Partial<TransportRequest> = {}) {
    this.head = new Promise((resolve) => (this.#onHead = resolve))
    this.over = new Promise((resolve) => (this.#onOver = resolve))
    this.control = transport.request(
      { method: 'POST', path: '/', headers: {}, body: '{}', connectTimeoutMs: 20_000, ...request },
      this,
    )
  }

  onHead(head: ResponseHead): void {
    this.told.push('head')
    this.#onHead(head)
  }

  onBody(bytes: Buffer): void {
    this.told.push('body')
    this.body += bytes.toString('latin1')
  }

  onEnd(): void {
    this.told.push('end')
    this.#onOver('end')
  }

  onError(error: unknown): void {
    this.told.push('error')
    this.error = error
    this.#onOver('error')
  }
}
