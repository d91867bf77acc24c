import { randomBytes } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Decompressor } from '../../providers/transport/decompress.ts'
import type { ExchangeHandler, TransportRequest } from '../../providers/transport/transport.ts'
import { ChunkReader } from '../../providers/openai/chunks.ts'
import type { StreamEvent } from '../../providers/provider.ts'
import type { StreamFormat } from '../../providers/stream-format.ts'
import { UpstreamStream } from '../../providers/upstream.ts'
import { EventDecoder } from '../../src/sse/decode.ts'
import { chatChunks, chunk } from '../support/upstream.ts'

afterEach(() => vi.restoreAllMocks())

/** A stream whose connection is played by the test, with a record of its sink. */
function open(headers: Record<string, string> = {}, status = 200) {
  const control = { abort: vi.fn(), pause: vi.fn(), resume: vi.fn() }
  const handlers: ExchangeHandler[] = []
  const transport = { request: (_: unknown, handler: ExchangeHandler) => (handlers.push(handler), control) }
  const signal = new AbortController().signal
  const stream = new UpstreamStream(
    { transport, path: '/', headers: {}, body: {}, signal, connectTimeoutMs: 10_000 },
    new ChunkReader(),
  )
  const [handler] = handlers as [ExchangeHandler]
  const pushed: StreamEvent[] = []
  const alive = vi.fn()
  let failed: unknown
  const end = new Promise<unknown>((resolve) =>
    stream.pushTo({
      push: (events) => void pushed.push(...events),
      alive,
      end: (failure) => resolve((failed = failure?.error)),
    }),
  )
  handler.onHead({ status, headers: new Map(Object.entries({ 'content-type': 'text/event-stream', ...headers })) })
  const send = (bytes: string | Buffer) => handler.onBody(Buffer.from(bytes))
  return { handler, send, control, pushed, alive, end, failure: () => failed }
}

const TOO_SILENT = {
  code: 'upstream_invalid_response',
  message: 'The upstream sent more than 9437184 bytes without an event.',
  retryable: false,
}
const KILOBYTES = 64 * 1024
const fill = (unit: string) => unit.repeat(Math.ceil(KILOBYTES / unit.length))
const token = chatChunks(chunk({ content: 'a' }))

const silent: [what: string, unit: string][] = [
  ['comments', ': still here\n\n'],
  ['empty lines', '\n'],
  ['empty data', 'data: \n\n'],
  ['empty deltas', chatChunks({ choices: [{ index: 0, delta: {} }] })],
  ['empty texts', chatChunks({ choices: [{ index: 0, delta: { content: '' } }] })],
  ['chunks without choices', chatChunks({ choices: [] })],
]

describe('bytes without an event', () => {
  it.each(silent)('are at most 9 MiB: %s', (_, unit) => {
    const { send, control, pushed, failure } = open()
    send(token)
    const bytes = fill(unit)
    let sent = 0
    while (!failure() && sent < 20 * 1024 * 1024) {
      send(bytes)
      sent += bytes.length
    }
    expect(failure()).toMatchObject(TOO_SILENT)
    expect(sent).toBeLessThan(9 * 1024 * 1024 + 2 * bytes.length)
    expect(pushed).toHaveLength(1)
    expect(control.abort).toHaveBeenCalled()
  })

  it.each(silent)('are unlimited when events come between them: %s', (_, unit) => {
    const { send, pushed, failure } = open()
    const bytes = fill(unit)
    for (let sent = 0; sent < 20 * 1024 * 1024; sent += bytes.length) {
      if (sent % (32 * bytes.length) === 0) send(token)
      send(bytes)
    }
    expect(failure()).toBeUndefined()
    expect(pushed.length).toBeGreaterThan(8)
  })

  it('are reported as activity; events are activity by themselves', () => {
    const { send, alive, pushed } = open()
    send(token)
    expect(alive).not.toHaveBeenCalled()
    send(': ping\n\n')
    send('data: {"choi')
    expect(alive).toHaveBeenCalledTimes(2)
    send(`ces":[]}\n\n${token}`)
    expect(alive).toHaveBeenCalledTimes(2)
    expect(pushed).toHaveLength(2)
  })
})

describe('an event that is too large', () => {
  it.each([
    ['a line', 'x'.repeat(KILOBYTES), 'An event is larger than 8388608 bytes'],
    ['comments without an empty line', fill(': still here\n'), 'An event is larger than 8388608 bytes'],
    ['lines of data', fill('data:\n'), 'An event has more than 65536 lines of data'],
  ])('fails without a retry: endless %s', (_, bytes, why) => {
    const { send, failure } = open()
    for (let i = 0; i < 200 && !failure(); i++) send(bytes)
    expect(failure()).toMatchObject({
      code: 'upstream_invalid_response',
      message: `The upstream sent too much: ${why}.`,
      retryable: false,
    })
  })
})

describe('a compressed answer', () => {
  const whole = chatChunks(chunk({ content: 'a' }), chunk({}, { finish_reason: 'stop' }), '[DONE]')

  it.each([
    ['gzip', gzipSync(whole)],
    ['br', brotliCompressSync(whole)],
    ['gzip, br', brotliCompressSync(gzipSync(whole))],
    ['identity, GZIP', gzipSync(whole)],
  ])('is read: %s', async (coding, bytes) => {
    const { handler, send, end, pushed } = open({ 'content-encoding': coding })
    send(bytes)
    handler.onEnd()
    expect(await end).toBeUndefined()
    expect(pushed.at(-1)).toMatchObject({ type: 'done', finish_reason: 'stop' })
  })

  it('is read no faster than it is decompressed', async () => {
    const { send, control, pushed, alive } = open({ 'content-encoding': 'gzip' })
    send(gzipSync(token))
    expect(control.pause).not.toHaveBeenCalled()
    // Random bytes do not compress, so this is more than a decompressor takes at once.
    send(gzipSync(`: ${randomBytes(KILOBYTES).toString('hex')}\n\n`))
    expect(control.pause).toHaveBeenCalledOnce()
    expect(control.resume).not.toHaveBeenCalled()
    await vi.waitFor(() => expect(control.resume).toHaveBeenCalled())
    expect(pushed).toHaveLength(1)
    expect(alive).toHaveBeenCalled()
  })

  it.each([
    ['gzip', (text: string) => gzipSync(text)],
    ['br', (text: string) => brotliCompressSync(text)],
    ['gzip, br', (text: string) => brotliCompressSync(gzipSync(text))],
  ])('is decompressed no further than 9 MiB without an event: %s', async (coding, compress) => {
    const push = vi.spyOn(EventDecoder.prototype, 'push')
    const { send, end, control } = open({ 'content-encoding': coding })
    const bomb = compress(':\n\n'.repeat(5_000_000))
    expect(bomb.length).toBeLessThan(100_000)
    send(bomb)
    expect(await end).toMatchObject(TOO_SILENT)
    expect(control.abort).toHaveBeenCalled()
    const inflated = push.mock.calls.reduce((sum, [bytes]) => sum + bytes.length, 0)
    expect(inflated).toBeLessThan(9 * 1024 * 1024 + KILOBYTES)
  })

  it('is refused when it consists of empty parts', async () => {
    const { send, end, failure } = open({ 'content-encoding': 'gzip' })
    const bytes = Buffer.concat(Array.from({ length: 3000 }, () => gzipSync('')))
    for (let i = 0; i < 400 && !failure(); i++) send(bytes)
    expect(await end).toMatchObject(TOO_SILENT)
  })

  it('is refused when its second stage consists of empty parts', async () => {
    const { send, end, failure } = open({ 'content-encoding': 'gzip, gzip' })
    const bytes = gzipSync(Buffer.concat(Array.from({ length: 100_000 }, () => gzipSync(''))))
    expect(bytes.length).toBeLessThan(100_000)
    for (let i = 0; i < 20 && !failure(); i++) send(bytes)
    expect(await end).toMatchObject(TOO_SILENT)
  })

  it('of an error is read up to a limit', async () => {
    const { send, end } = open({ 'content-encoding': 'gzip', 'content-type': 'application/json' }, 503)
    send(gzipSync(`{"error":"${'x'.repeat(50_000_000)}"}`))
    expect(await end).toMatchObject({ code: 'upstream_unavailable', message: 'The upstream answered 503.' })
  })

  it.each([3, 9000])('is refused without a retry when it was compressed %i times', async (times) => {
    const { end } = open({ 'content-encoding': Array.from({ length: times }, () => 'gzip').join(', ') })
    expect(await end).toMatchObject({
      code: 'upstream_invalid_response',
      message: `The upstream compressed its answer ${times} times.`,
      retryable: false,
    })
  })

  it('leaves no decompressor behind', () => {
    const stages: [PassThrough, PassThrough] = [new PassThrough(), new PassThrough()]
    const none = () => {}
    const told = { onData: none, onIntermediateBytes: none, onDrain: none, onEnd: none, onError: none }
    new Decompressor(stages, told).destroy()
    expect(stages.map(({ destroyed }) => destroyed)).toEqual([true, true])
  })
})

describe('the format of a stream', () => {
  /** One JSON value a line, as Ollama's own API sends it. */
  const NDJSON: StreamFormat = {
    mediaType: 'application/x-ndjson',
    matches: (type) => type.startsWith('application/x-ndjson'),
    createDecoder() {
      const text = new TextDecoder()
      let rest = ''
      const messages = (lines: string[]) => lines.filter((line) => line !== '').map((data) => ({ data }))
      return {
        push(bytes) {
          const lines = (rest + text.decode(bytes, { stream: true })).split('\n')
          rest = lines.pop() ?? ''
          return messages(lines)
        },
        end: () => messages([rest]),
      }
    },
  }

  /** A GET whose answer is in that format. */
  function follow(contentType: string) {
    const request = vi.fn((_: TransportRequest, __: ExchangeHandler) => ({
      abort: () => {},
      pause: () => {},
      resume: () => {},
    }))
    const stream = new UpstreamStream(
      {
        transport: { request },
        method: 'GET',
        path: '/responses/1?starting_after=2',
        headers: { 'x-team': 'blue' },
        format: NDJSON,
        connectTimeoutMs: 10_000,
        signal: new AbortController().signal,
      },
      new ChunkReader(),
    )
    const [sent, handler] = request.mock.calls[0]!
    const pushed: StreamEvent[] = []
    const end = new Promise<unknown>((resolve) =>
      stream.pushTo({ push: (events) => void pushed.push(...events), end: (failure) => resolve(failure?.error) }),
    )
    handler.onHead({ status: 200, headers: new Map([['content-type', contentType]]) })
    return { sent, handler, pushed, end }
  }

  it('is asked for, and read by its decoder, on any route', async () => {
    const { sent, handler, pushed, end } = follow('application/x-ndjson; charset=utf-8')
    const lines = [chunk({ content: 'a' }), chunk({}, { finish_reason: 'stop' })].map((each) => JSON.stringify(each))
    const bytes = Buffer.from(lines.join('\n'))
    for (let at = 0; at < bytes.length; at += 7) handler.onBody(bytes.subarray(at, at + 7))
    handler.onEnd()
    expect(await end).toBeUndefined()
    expect(pushed.map(({ type }) => type)).toEqual(['delta', 'done'])
    expect(sent).toEqual({
      method: 'GET',
      path: '/responses/1?starting_after=2',
      headers: { accept: 'application/x-ndjson', 'accept-encoding': 'identity', 'x-team': 'blue' },
      body: undefined,
      connectTimeoutMs: 10_000,
    })
  })

  it('is refused when it is another', async () => {
    const { handler, end } = follow('text/event-stream')
    handler.onEnd()
    expect(await end).toMatchObject({
      code: 'upstream_invalid_response',
      message: 'The upstream answered 200 with text/event-stream instead of application/x-ndjson.',
    })
  })
})
