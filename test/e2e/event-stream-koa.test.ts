import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import Koa from 'koa'
import { Client } from 'undici'
import { describe, expect, it, onTestFinished } from 'vitest'
import { eventStream, type EventFields, type EventStreamEnd, type EventStreamOptions } from '../../src/sse/index.ts'
import { Heartbeat } from '../../src/sse/heartbeat.ts'
import { open } from '../support/reader.ts'

type Source = Parameters<typeof eventStream>[1]
type Ended = EventStreamEnd | { thrown: unknown }

/** A plain Koa app that answers everything with this event stream; `ended` tells how the first answer was over. */
async function serve(source: Source, options: EventStreamOptions = {}) {
  const heartbeat = new Heartbeat(5)
  let settle: (ended: Ended) => void = () => {}
  const ended = new Promise<Ended>((resolve) => {
    settle = resolve
  })
  const app = new Koa()
  app.silent = true
  app.use(async (ctx, next) => {
    ctx.set('X-Served-By', 'a middleware')
    await next()
  })
  app.use(async (ctx) => {
    try {
      settle(await eventStream(ctx, source, { heartbeat, ...options }))
    } catch (thrown) {
      settle({ thrown })
      throw thrown
    }
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, heartbeat, ended, server }
}

/** A promise and the function that fulfils it. */
function signal() {
  let fire = () => {}
  const fired = new Promise<void>((resolve) => {
    fire = resolve
  })
  return { fire, fired }
}

async function* list(...events: EventFields[]): AsyncGenerator<EventFields> {
  yield* events
}

/** A source that waits for ever before its second item, and does not look at any signal. */
function idleSource() {
  const returned = signal()
  let pulls = 0
  const source: AsyncIterable<EventFields> = {
    [Symbol.asyncIterator]: () => ({
      next: () => (pulls++ === 0 ? Promise.resolve({ value: { data: 'first' } }) : new Promise<never>(() => {})),
      return: () => {
        returned.fire()
        return Promise.resolve({ done: true, value: undefined })
      },
    }),
  }
  return { source, returned: returned.fired }
}

describe('eventStream in a Koa app', () => {
  it('sends strings as they are and everything else as JSON, with names, ids and retry', async () => {
    const { url, ended } = await serve(
      list(
        { data: 'plain' },
        { data: 'two\nlines' },
        { event: 'named', id: 7, data: { nested: [1, 'é'] } },
        { id: 'text', data: 0 },
        { data: null },
        { retry: 4321, data: '' },
      ),
      { retry: 1234 },
    )
    const reader = await (await open(url)).end()
    expect(reader.messages).toStrictEqual([
      { id: undefined, event: undefined, data: 'plain' },
      { id: undefined, event: undefined, data: 'two\nlines' },
      { id: '7', event: 'named', data: '{"nested":[1,"é"]}' },
      { id: 'text', event: undefined, data: '0' },
      { id: undefined, event: undefined, data: 'null' },
      { id: undefined, event: undefined, data: '' },
    ])
    expect(reader.retries).toStrictEqual([1234, 4321])
    expect(reader.complete).toBe(true)
    expect(await ended).toBe('finished')
  })

  it('tells proxies and browsers to leave the stream alone, and keeps what other middleware has set', async () => {
    const { url } = await serve(list({ data: 'x' }))
    const { status, headers } = await open(url, { headers: { 'accept-encoding': 'gzip' } })
    expect(status).toBe(200)
    expect(headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      'x-content-type-options': 'nosniff',
      'x-served-by': 'a middleware',
    })
    expect(headers).not.toHaveProperty('content-encoding')
    expect(headers).not.toHaveProperty('content-length')
  })

  it('draws another reconnection time from 1 to 3 s for each reader', async () => {
    const { url } = await serve(() => list())
    const retries: number[] = []
    for (let count = 0; count < 20; count++) retries.push(...(await (await open(url)).end()).retries)
    expect(retries).toHaveLength(20)
    expect(Math.min(...retries)).toBeGreaterThanOrEqual(1000)
    expect(Math.max(...retries)).toBeLessThanOrEqual(3000)
    expect(new Set(retries).size).toBeGreaterThan(1)
  })

  it('sends headers at once and heartbeats while the source is silent', async () => {
    const speak = signal()
    const { url } = await serve(
      async function* source() {
        await speak.fired
        yield { data: 'at last' }
      },
      { heartbeatMs: 10 },
    )
    const reader = await open(url)
    await reader.until(({ comments }) => comments.length === 3)
    expect(reader.messages).toStrictEqual([])
    speak.fire()
    await reader.end()
    expect(reader.comments.every((comment) => comment === 'heartbeat')).toBe(true)
    expect(reader.messages).toMatchObject([{ data: 'at last' }])
  })

  it('answers HEAD with the headers of GET, and does not start the source', async () => {
    let started = false
    const { url, ended, heartbeat } = await serve(() => {
      started = true
      return list({ data: 'x' })
    })
    const { status, headers, body } = await (await open(url, { method: 'HEAD' })).end()
    expect(status).toBe(200)
    expect(headers['content-type']).toBe('text/event-stream; charset=utf-8')
    expect(body).toBe('')
    expect(await ended).toBe('finished')
    expect(started).toBe(false)
    expect(heartbeat.size).toBe(0)
  })
})

describe('eventStream and a reader that does not read', () => {
  const KILOBYTE = 'x'.repeat(1024)
  /** More kilobytes than all buffers on the way hold; an end, so that a writer that never waits fails. */
  const PLENTY = 65_536

  it('pulls no more from the source than the socket takes, and goes on when it drains', async () => {
    let pulled = 0
    const { url } = await serve(async function* source() {
      while (pulled < PLENTY) {
        pulled += 1
        yield { data: KILOBYTE }
      }
    })
    const reader = await open(url, { paused: true })
    await untilQuiet(() => pulled)
    const pulledUntilFull = pulled
    expect(pulledUntilFull).toBeLessThan(PLENTY)
    reader.resume()
    await reader.until(({ messages }) => messages.length > pulledUntilFull)
    expect(reader.messages.every(({ data }) => data === KILOBYTE)).toBe(true)
  })

  it('closes the connection after slowReaderMs', async () => {
    const returned = signal()
    const { url, ended, heartbeat } = await serve(
      async function* source() {
        try {
          for (let count = 0; count < PLENTY; count++) yield { data: KILOBYTE }
        } finally {
          returned.fire()
        }
      },
      { slowReaderMs: 50 },
    )
    const reader = await open(url, { paused: true })
    expect(await ended).toBe('stalled')
    await returned.fired
    expect(heartbeat.size).toBe(0)
    reader.resume()
    await reader.end()
    expect(reader.complete).toBe(false)
  })
})

describe('eventStream and a reader that leaves', () => {
  it('aborts the signal and lets the source clean up', async () => {
    const cleaned = signal()
    let reason: unknown
    const { url, ended, heartbeat } = await serve(async function* source(leaving: AbortSignal) {
      try {
        yield { data: 'first' }
        await new Promise((_, reject) => {
          leaving.addEventListener('abort', () => reject(leaving.reason))
        })
      } catch (error) {
        reason = error
        throw error
      } finally {
        cleaned.fire()
      }
    })
    const reader = await open(url)
    await reader.until(({ messages }) => messages.length === 1)
    reader.cut()
    expect(await ended).toBe('disconnected')
    await cleaned.fired
    expect(reason).toMatchObject({ message: 'The event stream is over: disconnected' })
    expect(heartbeat.size).toBe(0)
  })

  it('settles and calls return() also when the source is stuck for ever', async () => {
    const { source, returned } = idleSource()
    const { url, ended, heartbeat } = await serve(source)
    const reader = await open(url)
    await reader.until(({ messages }) => messages.length === 1)
    reader.cut()
    expect(await ended).toBe('disconnected')
    await returned
    expect(heartbeat.size).toBe(0)
  })

  it('leaves no listener on a connection that is used again', async () => {
    const { url, server } = await serve(() => list({ data: 'x' }))
    // Has one connection and no more.
    const client = new Client(url)
    onTestFinished(() => client.destroy())
    const sockets = new Set<unknown>()
    const counts: number[] = []
    server.on('request', ({ socket }) => {
      sockets.add(socket)
      counts.push(socket.eventNames().reduce((sum, name) => sum + socket.listenerCount(name), 0))
    })
    for (let count = 0; count < 5; count++) await (await client.request({ method: 'GET', path: '/' })).body.text()
    expect(sockets.size).toBe(1)
    expect(counts).toHaveLength(5)
    expect(new Set(counts).size).toBe(1)
  })
})

describe('eventStream and a source that throws', () => {
  const failure = new Error('The source broke.')

  it('cuts the connection after what was yielded, and rejects', async () => {
    const { url, ended, heartbeat } = await serve(async function* source() {
      yield { data: 'first' }
      yield { data: 'second' }
      throw failure
    })
    const reader = await (await open(url)).end()
    expect(reader.messages).toMatchObject([{ data: 'first' }, { data: 'second' }])
    expect(reader.complete).toBe(false)
    expect(await ended).toStrictEqual({ thrown: failure })
    expect(heartbeat.size).toBe(0)
  })

  it.each<[string, Source]>([
    [
      'at its first item',
      // eslint-disable-next-line require-yield
      async function* source() {
        throw failure
      },
    ],
    [
      'when it is made',
      () => {
        throw failure
      },
    ],
    ['over an event that cannot be sent', () => list({ id: 'two\nlines' })],
  ])('cuts the connection when it throws %s, and rejects', async (_, source) => {
    const { url, ended, heartbeat } = await serve(source)
    const reader = await (await open(url)).end()
    expect(reader.messages).toStrictEqual([])
    expect(reader.complete).toBe(false)
    expect(await ended).toMatchObject({ thrown: expect.any(Error) })
    expect(heartbeat.size).toBe(0)
  })
})

/** Waits until a number has not changed for many turns of the event loop. */
async function untilQuiet(read: () => number): Promise<void> {
  for (let turn = 0, last = read(); turn < 100; turn++) {
    await new Promise((resolve) => setImmediate(resolve))
    if (read() !== last) turn = 0
    last = read()
  }
}
