import { validateHeaderName, validateHeaderValue } from 'node:http'
import { Connection, type ExchangeHandler } from './connection.ts'

export interface PostRequest {
  headers: Readonly<Record<string, string>>
  body: string
  /** How long connecting may take, TLS included, in milliseconds. */
  connectTimeoutMs: number
}

interface IdleConnection {
  readonly connection: Connection
  readonly timer: NodeJS.Timeout
}

/** The connections to one URL: as many as there are requests at a time, kept for a while for those to come. */
export class Connections {
  readonly #url: URL
  /** The one that was used last is used next, so that those too many grow old. */
  #idle: IdleConnection[] = []
  #tlsSession: Buffer | undefined
  #closed = false

  constructor(url: URL) {
    this.#url = url
  }

  /**
   * Posts, and tells `handler` of the answer. What is returned breaks it off, and does nothing once it is over.
   *
   * @throws TypeError for a header that cannot be sent
   */
  post({ headers, body, connectTimeoutMs }: PostRequest, handler: ExchangeHandler): () => void {
    const { host, pathname, search } = this.#url
    const fields = new Map([['host', host]])
    for (const [name, value] of Object.entries(headers)) {
      validateHeaderName(name)
      validateHeaderValue(name, value)
      fields.set(name.toLowerCase(), value)
    }
    fields.set('content-length', String(Buffer.byteLength(body)))
    let head = `POST ${pathname}${search} HTTP/1.1\r\n`
    for (const [name, value] of fields) head += `${name}: ${value}\r\n`
    return this.#acquire(connectTimeoutMs).exchange(`${head}\r\n`, body, handler)
  }

  /** Closes those that are idle, and the others when they are. */
  close(): void {
    this.#closed = true
    for (const { connection } of this.#idle) connection.destroy()
  }

  #acquire(connectTimeoutMs: number): Connection {
    for (let idle = this.#idle.pop(); idle; idle = this.#idle.pop()) {
      clearTimeout(idle.timer)
      // One that was closed in this turn of the event loop is still here.
      if (idle.connection.open) return idle.connection
    }
    return this.#connect(connectTimeoutMs)
  }

  #connect(connectTimeoutMs: number): Connection {
    const connection = new Connection({
      url: this.#url,
      connectTimeoutMs,
      tlsSession: this.#tlsSession,
      onTlsSession: (session) => (this.#tlsSession = session),
      onIdle: (milliseconds) => this.#keep(connection, milliseconds),
      // The session may be why: a server that cannot resume one should begin another, but not all do.
      onConnectFailed: () => (this.#tlsSession = undefined),
      onClose: () => this.#forget(connection),
    })
    return connection
  }

  #keep(connection: Connection, milliseconds: number): void {
    if (this.#closed || milliseconds <= 0) return connection.destroy()
    this.#idle.push({ connection, timer: setTimeout(() => connection.destroy(), milliseconds).unref() })
  }

  #forget(connection: Connection): void {
    const position = this.#idle.findIndex((idle) => idle.connection === connection)
    if (position === -1) return
    clearTimeout(this.#idle[position]?.timer)
    this.#idle.splice(position, 1)
  }
}
