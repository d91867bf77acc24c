import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { request as requestHttp, type IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import { onTestFinished } from 'vitest'
import type { Delta, Done } from '../../src/stream/events.ts'
import { CA } from './tls.ts'

export interface ReaderOptions {
  method?: string
  headers?: Record<string, string>
  body?: unknown
  /** Opens the connection and reads the headers, but no byte of the body until `resume`. */
  paused?: boolean
}

/** What a reader reads: a response of HTTP/1.1, or one of HTTP/2 made to look like it. */
export interface ResponseBody extends Pick<IncomingMessage, 'statusCode' | 'headers' | 'complete' | 'closed'> {
  setEncoding(encoding: 'utf8'): void
  on(event: 'data' | 'end' | 'error' | 'close', listener: (chunk: string) => void): void
  pause(): void
  resume(): void
  destroy(): void
}

/**
 * One reader over a socket of its own, decoded by a parser that is not ours. It can stop reading, so that the
 * gateway's socket fills, and it can cut the connection.
 */
export class Reader {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly messages: EventSourceMessage[] = []
  readonly comments: string[] = []
  readonly retries: number[] = []
  body = ''
  /** True once the response has ended as HTTP wants it. */
  complete = false
  readonly #response: ResponseBody
  readonly #waiting = new Set<() => void>()
  #isCut = false

  constructor(response: ResponseBody, paused: boolean) {
    this.#response = response
    this.status = response.statusCode ?? 0
    this.headers = response.headers
    const parser = createParser({
      onEvent: (message) => this.messages.push(message),
      onComment: (comment) => this.comments.push(comment),
      onRetry: (retry) => this.retries.push(retry),
    })
    response.setEncoding('utf8')
    response.on('data', (chunk: string) => {
      // Node has some that came before: a client that has left does not read them.
      if (this.#isCut) return
      this.body += chunk
      parser.feed(chunk)
      this.#changed()
    })
    if (paused) response.pause()
    response.on('end', () => {
      this.complete = response.complete
    })
    response.on('error', () => {})
    response.on('close', () => this.#changed())
  }

  get closed(): boolean {
    return this.#response.closed
  }

  get id(): string {
    return String(this.headers['sluice-stream-id'] ?? '')
  }

  /** The seqs of all frames, in the order in which they came. */
  get ids(): number[] {
    return this.messages.map(({ id }) => Number(id))
  }

  get deltas(): Omit<Delta, 'type'>[] {
    return this.messages.filter(({ event }) => event === 'delta').map(({ data }) => JSON.parse(data))
  }

  get text(): string {
    return this.deltas.map(({ content }) => content ?? '').join('')
  }

  get dones(): Omit<Done, 'type'>[] {
    return this.messages.filter(({ event }) => event === 'done').map(({ data }) => JSON.parse(data))
  }

  get json(): unknown {
    return JSON.parse(this.body)
  }

  pause(): void {
    this.#response.pause()
  }

  resume(): void {
    this.#response.resume()
  }

  cut(): void {
    this.#isCut = true
    this.#response.destroy()
  }

  /** Waits for the next thing that happens until `condition` holds; fails when the connection is over first. */
  async until(condition: (reader: this) => boolean): Promise<this> {
    while (!condition(this)) {
      if (this.closed) throw new Error(`The connection closed first, after: ${this.body.slice(-500)}`)
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
    return this
  }

  /** Waits for the end of the connection, however it comes. */
  async end(): Promise<this> {
    while (!this.closed) await new Promise<void>((resolve) => this.#waiting.add(resolve))
    return this
  }

  #changed(): void {
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }
}

/** Sends a request on a connection of its own and resolves with its answer's headers; cut when the test is over. */
export function open(
  url: string,
  { method = 'GET', headers = {}, body, paused = false }: ReaderOptions = {},
): Promise<Reader> {
  return new Promise((resolve, reject) => {
    const request = url.startsWith('https:') ? requestHttps : requestHttp
    const sent = request(url, {
      method,
      agent: false,
      ca: CA,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    })
    sent.on('response', (response) => resolve(new Reader(response, paused)))
    sent.on('error', reject)
    onTestFinished(() => void sent.destroy())
    sent.end(body === undefined || typeof body === 'string' ? body : JSON.stringify(body))
  })
}

/** `POST /v1/chat` with one short message and whatever else is given. */
export function chat(url: string, fields: Record<string, unknown> = {}, options: ReaderOptions = {}): Promise<Reader> {
  const body = { messages: [{ role: 'user', content: 'hi' }], ...fields }
  return open(`${url}/v1/chat`, { method: 'POST', body, ...options })
}

/** `GET /v1/streams/{id}` from a cursor on. */
export function resume(url: string, id: string, cursor = 0, options: ReaderOptions = {}): Promise<Reader> {
  const headers = cursor === 0 ? {} : { 'last-event-id': String(cursor) }
  return open(`${url}/v1/streams/${id}`, { ...options, headers: { ...headers, ...options.headers } })
}
