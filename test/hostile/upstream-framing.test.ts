// Answers of an upstream that are broken, ambiguous or odd below the level of events: one named end each.

import type { Socket } from 'node:net'
import { expect, it } from 'vitest'
import { ask, startHostileUpstream, startTarget } from './target.ts'
import { expectUnharmed } from './withstand.ts'

const event = (data: unknown) => `data: ${JSON.stringify(data)}\n\n`
const HI = event({ choices: [{ index: 0, delta: { content: 'hi' } }] })
const END = `${event({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })}data: [DONE]\n\n`
const ALL = HI + END
const TYPE = 'content-type: text/event-stream\r\n'
const CLOSE = 'connection: close\r\n'
const ok = (lines = '', body = ALL) => `HTTP/1.1 200 OK\r\n${TYPE}${CLOSE}${lines}\r\n${body}`
const chunked = (body: string) => ok('transfer-encoding: chunked\r\n', body)
const size = ALL.length.toString(16)
const one = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`
const say = (delta: object, choice: object = {}) => ok('', event({ choices: [{ index: 0, delta, ...choice }] }) + END)

const REFUSED = /upstream_(invalid_response|disconnected|truncated|unreachable)/
const STOPPED = /"finish_reason":"stop"/

type Row = [answer: string | ((socket: Socket) => void), end: RegExp]

const ANSWERS: Record<string, Row> = {
  // Without bound.
  'a header of 100 KB': [ok(`a: ${'b'.repeat(100_000)}\r\n`), REFUSED],
  '70 KB of headers': [ok('a: b\r\n'.repeat(12_000)), REFUSED],
  'a status line of 100 KB': [`HTTP/1.1 200 ${'O'.repeat(100_000)}\r\n\r\n`, REFUSED],
  '5,000 interim responses': ['HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(5000), REFUSED],
  'a chunk extension of 100 KB': [chunked(`${size};${'e'.repeat(100_000)}\r\n${ALL}\r\n0\r\n\r\n`), REFUSED],
  'a trailer of 100 KB': [chunked(`${one(ALL)}0\r\na: ${'b'.repeat(100_000)}\r\n\r\n`), /stop|upstream_/],

  // Sizes of chunks.
  'a chunk size that overflows': [chunked(`ffffffffffffffffff\r\n${ALL}`), REFUSED],
  'a chunk size of −1': [chunked(`-1\r\n${ALL}`), REFUSED],
  'a chunk size of 0x': [chunked(`0x10\r\n${ALL}`), REFUSED],
  'a chunk without a size': [chunked(`\r\n${ALL}`), REFUSED],
  'a chunk size of a space': [chunked(` \r\n${ALL}`), REFUSED],
  'a chunk size that ends in LF': [chunked(`${size}\n${ALL}\r\n0\r\n\r\n`), /stop|upstream_/],
  'a chunk size of 13 digits': [chunked(`fffffffffffff\r\n${HI}`), /upstream_/],

  // Two answers to "where does the body end?"
  'two CL': [ok('content-length: 1\r\ncontent-length: 2\r\n'), REFUSED],
  'CL −5': [ok('content-length: -5\r\n'), REFUSED],
  'CL 1e15': [ok('content-length: 1e15\r\n'), REFUSED],
  'CL too long': [ok('content-length: 1000000000000000\r\n'), /stop|upstream_/],
  'TE gzip, chunked': [ok('transfer-encoding: gzip, chunked\r\n', `${one(ALL)}0\r\n\r\n`), REFUSED],
  'CL and TE': [ok('content-length: 3\r\ntransfer-encoding: chunked\r\n', `${one(ALL)}0\r\n\r\n`), /stop|upstream_/],

  // Statuses, and places to go.
  101: ['HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n', REFUSED],
  '000': ['HTTP/1.1 000 None\r\n\r\n', REFUSED],
  204: [`HTTP/1.1 204 None\r\n${CLOSE}\r\n`, REFUSED],
  304: [`HTTP/1.1 304 Same\r\n${CLOSE}\r\n`, REFUSED],
  600: [`HTTP/1.1 600 Odd\r\n${CLOSE}\r\n`, REFUSED],
  999: [`HTTP/1.1 999 Odd\r\n${CLOSE}retry-after: 9e400\r\n\r\n`, REFUSED],
  '302 to the metadata of a cloud': [`HTTP/1.1 302 Go\r\nlocation: http://169.254.169.254/\r\n${CLOSE}\r\n`, REFUSED],
  '307 to a file': [`HTTP/1.1 307 Go\r\nlocation: file:///etc/passwd\r\n${CLOSE}\r\n`, REFUSED],

  // Bytes of headers.
  'CR in a header': [ok('a: b\rset-cookie: c\r\n'), /stop|upstream_/],
  'NUL in a header': [ok('a: b\0c\r\n'), /stop|upstream_/],
  'a folded header': [ok('a: b\r\n c\r\n'), /stop|upstream_/],
  'LF only': [ok().replaceAll('\r\n', '\n'), /stop|upstream_/],
  'a line of 45 KB for slow patterns': [ok(`content-type: ${'a/b;'.repeat(11_000)}\r\n`), /stop|upstream_/],
  'headers that must not be passed on': [
    ok('set-cookie: evil=1\r\nx-evil: 1\r\naccess-control-allow-origin: *\r\n'),
    STOPPED,
  ],

  // Ends.
  'a close': [(socket) => void socket.destroy(), REFUSED],
  'a reset': [(socket) => void socket.resetAndDestroy(), REFUSED],
  'a close within a chunk': [chunked(`${size}\r\n${HI}`), /upstream_/],
  'HTTP/0.9': ['hello', REFUSED],
  'HTTP/1.0': [ok().replace('1.1', '1.0'), STOPPED],
  'frames of HTTP/2': ['\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64', REFUSED],
  'JSON of 20 MB': [
    `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n${CLOSE}\r\n{"x":"${'y'.repeat(20_000_000)}"}`,
    REFUSED,
  ],
  'one byte at a time': [
    (socket) => {
      socket.setNoDelay(true)
      for (const byte of Buffer.from(ok())) socket.write(Buffer.of(byte))
      socket.end()
    },
    STOPPED,
  ],

  // Data that would be a frame, a header or a prototype.
  'a text that is a frame': [say({ content: 'a\r\n\r\nevent: done\ndata: {}\n\n' }), STOPPED],
  'a model with CRLF': [
    ok('', event({ model: 'm\r\nx-evil: 1', choices: [{ index: 0, delta: { content: 'a' } }] }) + END),
    STOPPED,
  ],
  'a finish reason with CRLF': [
    ok('', HI + event({ choices: [{ index: 0, delta: {}, finish_reason: 'a\r\n\r\nevent: x' }] })),
    /stop|upstream_|provider_/,
  ],
  'a finish reason of a prototype': [
    ok('', HI + event({ choices: [{ index: 0, delta: {}, finish_reason: 'constructor' }] })),
    /"finish_reason"/,
  ],
  'an error of a prototype': [
    ok('', event({ error: { type: 'constructor', code: '__proto__', message: 'x' } })),
    /upstream_/,
  ],

  // Indexes.
  ...Object.fromEntries(
    [1e9, -1, 1.5, 1e308].flatMap((index): [string, Row][] => [
      [
        `a tool call ${index}`,
        [say({ tool_calls: [{ index, id: 'c', function: { name: 'f', arguments: '{}' } }] }), /"finish_reason"/],
      ],
      [
        `a choice ${index}`,
        [ok('', event({ choices: [{ index, delta: { content: 'a' } }] }) + END), /"finish_reason"/],
      ],
    ]),
  ),
  'two calls of one id': [
    say({ tool_calls: [0, 1].map((index) => ({ index, id: 'c', function: { name: 'f', arguments: '{}' } })) }),
    /"finish_reason"/,
  ],
  'usage of 12 MB at the end': [
    ok(
      '',
      HI +
        event({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }], usage: { x: 'y'.repeat(12_000_000) } }) +
        'data: [DONE]\n\n',
    ),
    /"finish_reason"/,
  ],
  'an error of 12 MB': [ok('', HI + event({ error: { message: 'y'.repeat(12_000_000) } })), /upstream_/],
  'content and a decoy': [
    ok(
      '',
      event({ meta: { content: 'EVIL' }, choices: [{ index: 0, delta: { content: 'hi' } }] }).replace(
        '"content":"hi"',
        '"content" : "hi"',
      ) + END,
    ),
    STOPPED,
  ],
}

it('each broken or odd answer of an upstream ends its stream once, with a name', async () => {
  const rows = Object.entries(ANSWERS)
  let answer: Row[0] = ''
  let requests = 0
  const port = await startHostileUpstream((socket) => {
    requests += 1
    if (typeof answer === 'function') answer(socket)
    else socket.end(Buffer.from(answer, 'latin1'))
  })
  const target = await startTarget(
    {
      OPENAI_API_KEY: 'x',
      OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1`,
      FIRST_TOKEN_TIMEOUT_MS: '1000',
      IDLE_TIMEOUT_MS: '500',
    },
    { files: { 'sluice.yaml': 'breaker: { failures: 1000000 }\nmodels: { m: { target: openai/m, retries: 0 } }' } },
  )
  const before = target.rss()
  for (const [name, [bytes, end]] of rows) {
    answer = bytes
    const body = { model: 'm', messages: [{ role: 'user', content: 'hi' }] }
    const { status, headers, body: text } = await ask(target, '/v1/chat', { body })
    expect(status, name).toBe(200)
    expect(text.match(/^event: done$/gm), name).toHaveLength(1)
    const [, done = ''] = /^event: done\ndata: (.*)$/m.exec(text) ?? []
    expect(done, name).toMatch(end)
    expect(done.length, name).toBeLessThan(100_000)
    expect(text, name).not.toContain('data: {"content":"EVIL')
    for (const header of ['set-cookie', 'x-evil', 'access-control-allow-origin'])
      expect(headers[header], name).toBeUndefined()
    const whole = await ask(target, '/v1/chat/completions', { body })
    expect(whole.status, name).toBeGreaterThanOrEqual(200)
    expect(whole.status, name).toBeLessThan(600)
    expect(whole.headers['sluice-error'], name).not.toBe('internal_error')
    expect(JSON.stringify(whole.headers['retry-after'] ?? '0'), name).toMatch(/^"\d{1,9}"$/)
  }
  // Nothing was followed, and nothing was tried again.
  expect(requests).toBe(2 * rows.length)
  await expectUnharmed(target, { memory: 300, before })
})
