import { once } from 'node:events'
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream, type Settings } from 'node:http2'
import { onTestFinished } from 'vitest'
import { Reader, type ReaderOptions, type ResponseBody } from './reader.ts'
import { CA } from './tls.ts'

/** One connection of HTTP/2, with windows as a browser has them: a reader that does not read holds up no other. */
export class Http2Connection {
  readonly session: ClientHttp2Session
  /** Resolves when the connection has closed: with the code of the GOAWAY frame that said so, if there was one. */
  readonly closed: Promise<number | undefined>

  private constructor(session: ClientHttp2Session) {
    this.session = session
    let code: number | undefined
    session.on('goaway', (given) => {
      code = given
    })
    session.on('error', () => {})
    this.closed = new Promise((resolve) => session.on('close', () => resolve(code)))
  }

  static async open(url: string, settings: Settings = {}): Promise<Http2Connection> {
    // Node never takes back what it counted for a body that was refused.
    const session = connect(url, { ca: CA, maxSessionMemory: 1000, settings })
    const connection = new Http2Connection(session)
    onTestFinished(() => session.destroy())
    await once(session, 'remoteSettings')
    session.setLocalWindowSize(15 * 1024 * 1024)
    return connection
  }

  /** Sends a request and resolves with its answer's headers. */
  async request(path: string, options: ReaderOptions = {}): Promise<Reader> {
    const { method = 'GET', headers = {}, body, paused = false } = options
    const stream = this.session.request(
      {
        ':method': method,
        ':path': path,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      { endStream: body === undefined },
    )
    if (body !== undefined) stream.end(typeof body === 'string' ? body : JSON.stringify(body))
    return new Promise((resolve, reject) => {
      stream.on('response', (answered) => resolve(new Reader(toBody(stream, answered), paused)))
      stream.on('error', reject)
      stream.on('close', () => reject(new Error(`The stream closed first, with ${stream.rstCode}`)))
    })
  }

  /** `POST /v1/chat` with one short message and whatever else is given. */
  chat(fields: Record<string, unknown> = {}, options: ReaderOptions = {}): Promise<Reader> {
    const body = { messages: [{ role: 'user', content: 'hi' }], ...fields }
    return this.request('/v1/chat', { method: 'POST', body, ...options })
  }

  /** `GET /v1/streams/{id}` from a cursor on. */
  resume(id: string, cursor = 0, options: ReaderOptions = {}): Promise<Reader> {
    const headers = cursor === 0 ? {} : { 'last-event-id': String(cursor) }
    return this.request(`/v1/streams/${id}`, { ...options, headers: { ...headers, ...options.headers } })
  }
}

function toBody(stream: ClientHttp2Stream, { ':status': statusCode, ...headers }: Record<string, unknown>) {
  let closed = false
  stream.on('close', () => {
    closed = true
  })
  const body: ResponseBody = {
    statusCode: Number(statusCode),
    headers: headers as ResponseBody['headers'],
    // The end comes also when the stream or its connection has been broken.
    get complete() {
      return stream.rstCode === constants.NGHTTP2_NO_ERROR && !stream.aborted
    },
    get closed() {
      return closed
    },
    setEncoding: (encoding) => void stream.setEncoding(encoding),
    on: (event, listener) => void stream.on(event, listener),
    pause: () => void stream.pause(),
    resume: () => void stream.resume(),
    destroy: () => stream.close(constants.NGHTTP2_CANCEL),
  }
  return body
}
