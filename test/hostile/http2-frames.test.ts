// Frames of HTTP/2 that no client of Node's would send: the connection is closed, and others are served.

import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'
import { expect, it, onTestFinished } from 'vitest'
import { Http2Connection } from '../support/http2-client.ts'
import { CA, TLS } from '../support/tls.ts'
import { startTarget, type Target } from './target.ts'
import { longestTurn, SCALE } from './withstand.ts'

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

/** https://www.rfc-editor.org/rfc/rfc9113.html#section-6 */
function frame(type: number, flags: number, stream: number, payload: Buffer | string = ''): Buffer {
  const bytes = Buffer.from(payload)
  const header = Buffer.alloc(9)
  header.writeUIntBE(bytes.length, 0, 3)
  header.writeUInt8(type, 3)
  header.writeUInt8(flags, 4)
  header.writeUInt32BE(stream, 5)
  return Buffer.concat([header, bytes])
}

const [DATA, HEADERS, PRIORITY, RESET, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION] = [0, 1, 2, 3, 4, 6, 7, 8, 9]
const END = 1
const END_HEADERS = 4
const u32 = (value: number) => Buffer.from([value >>> 24, value >>> 16, value >>> 8, value].map((byte) => byte & 255))

/** HPACK: `:method: GET`, `:path: /`, `:scheme: https`, `:authority: x`. */
const GET = Buffer.from([0x82, 0x84, 0x87, 0x01, 0x01, 0x78])
const POST = Buffer.from([0x83, 0x84, 0x87, 0x01, 0x01, 0x78])
/** A literal field without indexing. */
const field = (name: string, value: string) =>
  Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)])
const ask = (stream: number, ...fields: Buffer[]) =>
  frame(HEADERS, END | END_HEADERS, stream, Buffer.concat([GET, ...fields]))
const repeat = (count: number, make: (i: number) => Buffer) =>
  Buffer.concat(Array.from({ length: count }, (_, i) => make(i)))
const odd = (i: number) => 2 * i + 1
/** Frames of a flood. */
const MANY = SCALE === 'full' ? 100_000 : 5000

/** What is sent after the preface, and whether the connection must end. */
const ATTACKS: Record<string, [bytes: Buffer, closes: boolean]> = {
  'rapid resets of GET': [repeat(MANY, (i) => Buffer.concat([ask(odd(i)), frame(RESET, 0, odd(i), u32(8))])), true],
  'rapid resets of POST': [
    repeat(MANY, (i) => Buffer.concat([frame(HEADERS, END_HEADERS, odd(i), POST), frame(RESET, 0, odd(i), u32(8))])),
    true,
  ],
  // The server resets streams: https://galbarnahum.com/posts/made-you-reset-intro
  'windows that make the server reset': [
    repeat(MANY, (i) => Buffer.concat([frame(HEADERS, END_HEADERS, odd(i), POST), frame(WINDOW, 0, odd(i), u32(0))])),
    true,
  ],
  'CONTINUATION without end': [
    Buffer.concat([
      frame(HEADERS, END, 1, GET),
      repeat(MANY, () => frame(CONTINUATION, 0, 1, field('a', 'b'.repeat(100)))),
    ]),
    true,
  ],
  'empty CONTINUATION without end': [
    Buffer.concat([frame(HEADERS, END, 1, GET), repeat(MANY, () => frame(CONTINUATION, 0, 1))]),
    true,
  ],
  'a flood of SETTINGS': [repeat(MANY * 4, () => frame(SETTINGS, 0, 0)), true],
  'a flood of PING': [repeat(MANY * 4, () => frame(PING, 0, 0, '12345678')), true],
  'a flood of PRIORITY': [
    repeat(MANY, (i) => frame(PRIORITY, 0, odd(i), Buffer.concat([u32(0), Buffer.from([16])]))),
    false,
  ],
  'empty DATA without end': [
    Buffer.concat([frame(HEADERS, END_HEADERS, 1, POST), repeat(MANY, () => frame(DATA, 0, 1))]),
    false,
  ],
  'a window that overflows': [
    Buffer.concat([frame(WINDOW, 0, 0, u32(0x7fffffff)), frame(WINDOW, 0, 0, u32(0x7fffffff))]),
    true,
  ],
  'references to one large header': [
    repeat(200, (i) =>
      frame(
        HEADERS,
        END | END_HEADERS,
        odd(i),
        Buffer.concat([GET, ...Array.from({ length: 200 }, () => field('a', 'b'.repeat(100)))]),
      ),
    ),
    false,
  ],
  '1,000 streams': [repeat(1000, (i) => frame(HEADERS, END_HEADERS, odd(i), POST)), false],
  'a frame that is too large': [frame(DATA, 0, 1, Buffer.alloc(20_000)), true],
  'a frame on a stream that is even': [ask(2), true],
  'DATA on a stream that is not there': [frame(DATA, END, 5, 'x'), true],
  'a PUSH_PROMISE of a client': [frame(5, END_HEADERS, 1, Buffer.concat([u32(2), GET])), true],
  'a header block that is garbage': [frame(HEADERS, END | END_HEADERS, 1, Buffer.alloc(50, 0xff)), true],
  'no preface': [Buffer.alloc(100, 'x'), true],
  'GOAWAY and then requests': [Buffer.concat([frame(GOAWAY, 0, 0, Buffer.concat([u32(0), u32(0)])), ask(1)]), false],
  'no path': [frame(HEADERS, END | END_HEADERS, 1, Buffer.from([0x82, 0x87])), false],
  'a path twice': [ask(1, Buffer.from([0x84])), false],
  'a pseudo-header after a header': [ask(1, field('a', 'b'), Buffer.from([0x84])), false],
  'CRLF in a value': [ask(1, field('a', 'b\r\nc: d')), false],
  'connection and TE': [ask(1, field('connection', 'close'), field('transfer-encoding', 'chunked')), false],
  'a content-length that lies': [
    Buffer.concat([
      frame(HEADERS, END_HEADERS, 1, Buffer.concat([POST, field('content-length', '3')])),
      frame(DATA, END, 1, 'x'),
    ]),
    false,
  ],
}

async function connectTo({ port }: Target): Promise<TLSSocket> {
  const socket = connect({ port, ca: CA, servername: 'localhost', ALPNProtocols: ['h2'] })
  socket.on('error', () => {}).resume()
  onTestFinished(() => void socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}

it('each flood and each broken frame of HTTP/2 costs its own connection only', async () => {
  const target = await startTarget({
    TLS_CERT: TLS.tlsCert,
    TLS_KEY: TLS.tlsKey,
    KEEP_ALIVE_MS: '3000',
  })
  const before = target.rss()
  const url = target.url.replace('127.0.0.1', 'localhost')
  await Promise.all(
    Object.entries(ATTACKS).map(async ([name, [bytes, closes]]) => {
      const socket = await connectTo(target)
      if (name !== 'no preface') socket.write(Buffer.concat([Buffer.from(PREFACE), frame(SETTINGS, 0, 0)]))
      const closed = once(socket, 'close').catch(() => {})
      socket.write(bytes)
      // Some errors end in GOAWAY alone: then the connection is idle, and closed for that.
      if (closes) await closed
      const honest = await Http2Connection.open(url)
      const answer = await honest.chat({ mock: { text: name, interval_ms: 0 } })
      expect((await answer.end()).text, name).toBe(name)
    }),
  )
  const metrics = await (await (await Http2Connection.open(url)).request('/metrics')).end()
  expect(target.ended).toBeUndefined()
  expect(target.output()).not.toMatch(/"level":"(error|fatal)"|Warning/)
  expect(target.peak() - before).toBeLessThan(150)
  if (SCALE === 'full') expect(Number(longestTurn(metrics.body))).toBeLessThanOrEqual(0.25)
})
