import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { quietPort } from './quiet-port.ts'

/** TCP between clients and a Redis that is slow, breaks or hangs as the test says. */
export class RedisProxy {
  /** What the proxy has passed on so far. */
  readonly bytes = { toRedis: 0, fromRedis: 0 }
  readonly #target: URL
  readonly #connections = new Set<Connection>()
  readonly #server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket))
  readonly #state = { delay: 0, stalled: false }
  #port = 0

  constructor(target: string) {
    this.#target = new URL(target)
  }

  /** As that of the Redis, with another port. */
  get url(): string {
    const url = new URL(this.#target)
    url.port = String(this.#port)
    return url.href
  }

  async start(): Promise<void> {
    for (;;) {
      this.#port = quietPort()
      try {
        await this.accept()
        return
      } catch (error) {
        if (!String(error).includes('EADDRINUSE')) throw error
      }
    }
  }

  /** The time a command and its answer take together, in ms; half of it each way. Nothing overtakes what came before. */
  delay(ms: number): void {
    this.#state.delay = ms / 2
  }

  /** Closes every connection, and loses what was on the way. */
  cut(): void {
    for (const connection of this.#connections) connection.cut()
  }

  /** Refuses new connections. Those there are stay. */
  refuse(): void {
    this.#server.close()
  }

  /** Takes connections (again). */
  async accept(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  /** Passes nothing on, and reads nothing either: what clients write fills the buffers of the system. */
  stall(): void {
    this.#state.stalled = true
    for (const connection of this.#connections) connection.update()
  }

  /** Passes on again, first what has waited. */
  flow(): void {
    this.#state.stalled = false
    for (const connection of this.#connections) connection.update()
  }

  stop(): void {
    this.refuse()
    this.cut()
  }

  #accept(client: Socket): void {
    const redis = connect({ port: Number(this.#target.port), host: this.#target.hostname, allowHalfOpen: true })
    const connection = new Connection(client, redis, this.#state, this.bytes)
    this.#connections.add(connection)
    client.on('close', () => this.#connections.delete(connection))
  }
}

/** Starts a proxy before the Redis with this URL; stopped with the test. */
export async function startRedisProxy(target: string): Promise<RedisProxy> {
  const proxy = new RedisProxy(target)
  onTestFinished(() => proxy.stop())
  await proxy.start()
  return proxy
}

/** `delay` in ms for each way. */
type State = Readonly<{ delay: number; stalled: boolean }>

class Connection {
  readonly #sockets: Socket[]
  readonly #ways: Way[]

  constructor(client: Socket, redis: Socket, state: State, bytes: RedisProxy['bytes']) {
    this.#sockets = [client, redis]
    this.#ways = [
      new Way(client, redis, state, (count) => {
        bytes.toRedis += count
      }),
      new Way(redis, client, state, (count) => {
        bytes.fromRedis += count
      }),
    ]
    for (const socket of this.#sockets) {
      socket.setNoDelay(true)
      socket.on('error', () => this.cut())
    }
    this.update()
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  update(): void {
    for (const way of this.#ways) way.update()
  }
}

/** One direction of a connection. */
class Way {
  readonly #from: Socket
  readonly #to: Socket
  readonly #state: State
  readonly #count: (bytes: number) => void
  /** What is on the way, with when it arrives; `undefined` for the end. */
  readonly #queue: { chunk: Buffer | undefined; due: number }[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(from: Socket, to: Socket, state: State, count: (bytes: number) => void) {
    this.#from = from
    this.#to = to
    this.#state = state
    this.#count = count
    from.on('data', (chunk: Buffer) => this.#send(chunk))
    from.on('end', () => this.#send(undefined))
    to.on('drain', () => this.update())
    to.on('close', () => clearTimeout(this.#timer))
  }

  update(): void {
    if (this.#state.stalled || this.#to.writableNeedDrain) this.#from.pause()
    else this.#from.resume()
    this.#deliver()
  }

  #send(chunk: Buffer | undefined): void {
    this.#queue.push({ chunk, due: performance.now() + this.#state.delay })
    this.#deliver()
  }

  #deliver(): void {
    clearTimeout(this.#timer)
    for (;;) {
      const [next] = this.#queue
      if (!next || this.#state.stalled || this.#to.destroyed) return
      const wait = next.due - performance.now()
      if (wait > 0) {
        this.#timer = setTimeout(() => this.#deliver(), wait)
        return
      }
      this.#queue.shift()
      if (!next.chunk) {
        this.#to.end()
        return
      }
      this.#count(next.chunk.length)
      if (!this.#to.write(next.chunk)) this.#from.pause()
    }
  }
}
