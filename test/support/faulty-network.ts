import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { Journal } from './cutting-proxy.ts'

/** A place in a response: after so many bytes, headers included, or after so many frames with an id. */
export type Place = { bytes: number } | { frames: number }

/** What happens to one request and its response. */
export type NetworkFault =
  /** Closed in both directions before the gateway hears of the request. */
  | { cut: 'request' }
  /** Closed in both directions at this place of the response. Byte 0: the gateway has answered, nobody hears it. */
  | { cut: Place }
  /** From this place on nothing is forwarded, and nothing is closed either. */
  | { hang: Place | 'request' }
  /** Answered by somebody between, instead of the gateway. */
  | { answer: Answer }

export interface Answer {
  status: number
  headers?: Record<string, string>
  body?: string
}

export interface SeenRequest {
  method: string
  path: string
  headers: Record<string, string>
  /** Resolves when the connection it came on is closed. */
  closed: Promise<void>
}

/** TCP between a client and a gateway, that breaks as the test says. Requests are recognised, not understood. */
export class FaultyNetwork {
  /** Every request that came, also those that were not passed on. */
  readonly requests = new Journal<SeenRequest>()
  /** The gateway; may change, as with one that is restarted on another port. */
  target: string
  /** How many connections clients have made so far. */
  accepted = 0
  readonly #connections = new Set<Connection>()
  readonly #faults: (NetworkFault | undefined)[] = []
  readonly #pages = new Map<string, Answer>()
  readonly #server = createServer((socket) => this.#accept(socket))
  readonly #onClosed: (() => void)[] = []
  #port = 0

  private constructor(target: string) {
    this.target = target
  }

  /** Torn down with the test. */
  static async start(target: string): Promise<FaultyNetwork> {
    const network = new FaultyNetwork(target)
    await network.online()
    onTestFinished(() => network.offline())
    return network
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** Resolves when no client has a connection. */
  async closed(): Promise<void> {
    while (this.#connections.size > 0) await new Promise<void>((resolve) => this.#onClosed.push(resolve))
  }

  /** Faults for the requests to come, one each and in this order; `undefined` for none. */
  plan(...faults: (NetworkFault | undefined)[]): void {
    this.#faults.push(...faults)
  }

  /** Answers for this path itself, whatever else happens: a page of the gateway's origin. Not among the requests. */
  serve(path: string, type: string, body: string): void {
    this.#pages.set(path, { status: 200, headers: { 'content-type': type }, body })
  }

  /** Closes every connection, now. */
  cut(): void {
    for (const connection of this.#connections) connection.cut()
  }

  /** Forwards nothing more on the connections there are, and closes none of them. */
  hang(): void {
    for (const connection of this.#connections) connection.hanging = true
  }

  /** Closes every connection and refuses new ones. */
  async offline(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.cut()
    await closed
  }

  /** Takes connections (again). */
  async online(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve))
    this.#port = (this.#server.address() as AddressInfo).port
  }

  #accept(socket: Socket): void {
    const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()))
    const connection = new Connection(socket, {
      target: () => new URL(this.target),
      nextFault: () => this.#faults.shift(),
      pageAt: (path) => this.#pages.get(path),
      onRequest: (request) => this.requests.add({ ...request, closed }),
    })
    this.accepted += 1
    this.#connections.add(connection)
    socket.on('close', () => {
      this.#connections.delete(connection)
      for (const resolve of this.#onClosed.splice(0)) resolve()
    })
  }
}

interface ConnectionOptions {
  target: () => URL
  nextFault: () => NetworkFault | undefined
  pageAt: (path: string) => Answer | undefined
  onRequest: (request: RequestHead) => void
}

type RequestHead = Omit<SeenRequest, 'closed'>

/** One TCP connection of a client; the one to the gateway is made for the first request that is passed on. */
class Connection {
  hanging = false
  readonly #client: Socket
  readonly #options: ConnectionOptions
  #gateway: Socket | undefined
  #fault: NetworkFault | undefined
  /** The response to the latest request, as far as it has come. */
  #response = Buffer.alloc(0)

  constructor(client: Socket, options: ConnectionOptions) {
    this.#client = client
    this.#options = options
    client.setNoDelay(true)
    client.on('data', (chunk: Buffer) => this.#onRequestBytes(chunk))
    client.on('error', () => {})
    client.on('close', () => this.cut())
  }

  cut(): void {
    this.#client.destroy()
    this.#gateway?.destroy()
  }

  #onRequestBytes(chunk: Buffer): void {
    if (this.hanging) return
    const request = parseHead(chunk.toString('latin1'))
    const page = request && this.#options.pageAt(request.path)
    if (page) {
      this.#client.end(render(page))
      return
    }
    if (request) {
      this.#fault = this.#options.nextFault()
      this.#response = Buffer.alloc(0)
      this.#options.onRequest(request)
    }
    const fault = this.#fault
    if (fault && 'cut' in fault && fault.cut === 'request') this.cut()
    else if (fault && 'hang' in fault && fault.hang === 'request') this.hanging = true
    else if (fault && 'answer' in fault) this.#client.end(render(fault.answer))
    else this.#toGateway().write(chunk)
  }

  #toGateway(): Socket {
    if (this.#gateway) return this.#gateway
    const { hostname, port } = this.#options.target()
    const gateway = connect(Number(port), hostname)
    gateway.setNoDelay(true)
    gateway.on('data', (chunk: Buffer) => this.#onResponseBytes(chunk))
    gateway.on('error', () => {})
    gateway.on('close', () => {
      if (!this.hanging) this.#client.end()
    })
    this.#gateway = gateway
    return gateway
  }

  #onResponseBytes(chunk: Buffer): void {
    if (this.hanging) return
    const before = this.#response.length
    this.#response = Buffer.concat([this.#response, chunk])
    const fault = this.#fault
    const place = fault && ('cut' in fault ? fault.cut : 'hang' in fault ? fault.hang : undefined)
    const end = place && place !== 'request' ? locate(this.#response, place) : undefined
    if (!fault || end === undefined) {
      this.#client.write(chunk)
      return
    }
    this.#fault = undefined
    if ('hang' in fault) this.hanging = true
    const rest = chunk.subarray(0, Math.max(0, end - before))
    if ('hang' in fault) this.#client.write(rest)
    else this.#client.write(rest, () => this.cut())
  }
}

/** Where the place is, if the response has come that far. */
function locate(response: Buffer, place: Place): number | undefined {
  if ('bytes' in place) return response.length >= place.bytes ? place.bytes : undefined
  const text = response.toString('latin1')
  const headers = text.indexOf('\r\n\r\n')
  if (headers === -1) return undefined
  if (place.frames === 0) return headers + 4
  const frame = [...text.matchAll(/event: \w+\ndata: .*\nid: \d+\n\n/g)][place.frames - 1]
  return frame && frame.index + frame[0].length
}

function parseHead(text: string): RequestHead | undefined {
  const [, method, path, fields = ''] = /^([A-Z]+) (\S+) HTTP\/1\.1\r\n([^]*?)\r\n\r\n/.exec(text) ?? []
  if (!method || !path) return undefined
  const headers = fields.split('\r\n').map((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
  })
  return { method, path, headers: Object.fromEntries(headers) }
}

function render({ status, headers = {}, body = '' }: Answer): string {
  const fields = { ...headers, connection: 'close', 'content-length': String(Buffer.byteLength(body)) }
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} Answered\r\n${lines.join('')}\r\n${body}`
}
