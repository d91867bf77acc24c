// Requests that are broken, ambiguous or odd below the level of JSON: one status for each request, never two.

import { expect, it } from 'vitest'
import { answersTo, startTarget, type Target } from './target.ts'
import { expectUnharmed } from './withstand.ts'

const BODY = '{"messages":[{"role":"user","content":"hi"}],"mock":{"tokens":1,"interval_ms":0}}'
const LENGTH = `content-length: ${BODY.length}`
/** The body as one chunk. */
const CHUNK = `${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`
const CHUNKED = 'transfer-encoding: chunked'

/** `POST /v1/chat` with these lines in its head. */
const post = (lines: string, body = BODY) =>
  `POST /v1/chat HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${lines}\r\n\r\n${body}`
const get = (path: string, lines = '') => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n${lines}\r\n`
const chunk = (size: string, rest = '') => post(CHUNKED, `${size}\r\n${BODY}\r\n0\r\n\r\n${rest}`)

/** Follows each attack on its connection: answered only where the connection survives the attack. */
const NEXT = 'GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n'

/** What an attacker hides in a body: answering it is the fault. */
const SMUGGLED = 'GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n'

/** Refused, and the connection closed. */
const CLOSED = [400]
/** Answered, and the connection kept. */
const kept = (...statuses: number[]) => [...statuses, 200]

const ATTACKS: Record<string, [bytes: string, statuses: number[]]> = {
  // Two answers to "where does the body end?": https://www.rfc-editor.org/rfc/rfc9112#section-6.3
  'CL and TE': [post(`${LENGTH}\r\n${CHUNKED}`, `0\r\n\r\n${SMUGGLED}`), CLOSED],
  'TE and CL': [post(`${CHUNKED}\r\ncontent-length: 4`, CHUNK), CLOSED],
  'two CL, the same': [post(`${LENGTH}\r\n${LENGTH}`), CLOSED],
  'two CL': [post(`content-length: 1\r\n${LENGTH}`), CLOSED],
  'a list of CL': [post(`${LENGTH}, 3`), CLOSED],
  'CL +N': [post(`content-length: +${BODY.length}`), CLOSED],
  'CL −1': [post('content-length: -1'), CLOSED],
  'CL 0x': [post('content-length: 0x51'), CLOSED],
  'CL 1e3': [post('content-length: 1e3'), CLOSED],
  'CL 2^64+1': [post('content-length: 18446744073709551617'), CLOSED],
  'TE xchunked': [post('transfer-encoding: xchunked', CHUNK), CLOSED],
  'TE chunked, identity': [post('transfer-encoding: chunked, identity', CHUNK), CLOSED],
  'TE twice': [post(`${CHUNKED}\r\ntransfer-encoding: x`, CHUNK), CLOSED],
  'a space before a colon': [post('transfer-encoding : chunked', CHUNK), CLOSED],
  'VT before a value': [post('transfer-encoding:\x0bchunked', CHUNK), CLOSED],
  // Framed as chunked: what follows is a request of its own.
  'TE identity, chunked': [post('transfer-encoding: identity, chunked', CHUNK), kept(200)],
  'TE gzip, chunked': [post('transfer-encoding: gzip, chunked', CHUNK), kept(200)],
  'a tab before a value': [post('transfer-encoding:\tchunked', CHUNK), kept(200)],

  'chunk size zz': [chunk('zz'), CLOSED],
  'chunk size −1': [chunk('-1'), CLOSED],
  'chunk size of 17 digits': [chunk('10000000000000051'), CLOSED],
  'chunk size 0x': [chunk('0x51'), CLOSED],
  'chunk size with LF only': [post(CHUNKED, `${BODY.length.toString(16)}\n${BODY}\r\n0\r\n\r\n`), CLOSED],
  'LF after an extension': [post(CHUNKED, `${BODY.length.toString(16)};a\n${BODY}\r\n0\r\n\r\n`), CLOSED],
  'a chunk longer than its size': [chunk('1'), CLOSED],
  'an extension of 20 KB': [chunk(`${BODY.length.toString(16)};${'a'.repeat(20_000)}`), [413]],

  'LF only': [get('/healthz').replaceAll('\r\n', '\n'), CLOSED],
  'CR only': [get('/healthz').replaceAll('\r\n', '\r'), CLOSED],
  'a folded header': [get('/healthz', 'a: b\r\n c\r\n'), CLOSED],
  'a folded TE': [post('transfer-encoding:\r\n chunked', CHUNK), CLOSED],
  'a space before a header': [get('/healthz', ' a: b\r\n'), CLOSED],
  'NUL in a header': [get('/healthz', 'a: b\0c\r\n'), CLOSED],
  'trailers with CL': [post(`${LENGTH}\r\ntrailer: a`, `${BODY}a: b\r\n\r\n`), CLOSED],
  'no Host': ['GET /healthz HTTP/1.1\r\n\r\n', CLOSED],
  // Node takes the first, and so does the check of host names.
  'two Hosts, an allowed one first': [
    'GET /healthz HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\n\r\n',
    kept(200),
  ],
  'two Hosts, an allowed one last': [
    'GET /healthz HTTP/1.1\r\nhost: evil.example\r\nhost: localhost\r\n\r\n',
    kept(403),
  ],

  'HTTP/0.9': ['GET /healthz\r\n\r\n', CLOSED],
  'HTTP/1.0': ['GET /healthz HTTP/1.0\r\nconnection: keep-alive\r\n\r\n', kept(200)],
  'HTTP/1.2': [get('/healthz').replace('1.1', '1.2'), CLOSED],
  'the preface of HTTP/2': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', CLOSED],
  'a hello of TLS': ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', CLOSED],
  'a URL as path': [get('http://localhost/healthz'), kept(200)],
  'a path of another host': [get('//evil.example/'), kept(404)],
  'OPTIONS *': ['OPTIONS * HTTP/1.1\r\nhost: localhost\r\n\r\n', kept(404)],
  CONNECT: ['CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example:443\r\n\r\n', []],
  TRACE: ['TRACE / HTTP/1.1\r\nhost: localhost\r\n\r\n', kept(405)],
  'Upgrade: websocket': [get('/healthz', 'connection: upgrade, close\r\nupgrade: websocket\r\n'), [200]],
  'Upgrade: h2c': [get('/healthz', 'connection: upgrade, close\r\nupgrade: h2c\r\nhttp2-settings: a\r\n'), [200]],
  'Expect: 100-continue': [post(`${LENGTH}\r\nexpect: 100-continue`), kept(100, 200)],
  'another expectation': [post(`${LENGTH}\r\nexpect: 200-maybe`), kept(417)],

  'a header of 20 KB': [get('/healthz', `a: ${'b'.repeat(20_000)}\r\n`), [431]],
  'a URL of 20 KB': [get(`/${'a'.repeat(20_000)}`), [431]],
  '3,000 headers': [get('/healthz', 'a:b\r\n'.repeat(3000)), kept(200)],
  'a method of 5,000 letters': [`${'A'.repeat(5000)} / HTTP/1.1\r\nhost: localhost\r\n\r\n`, CLOSED],

  'NUL in an id': [get('/v1/streams/%00'), kept(404)],
  'a broken escape': [get('/v1/streams/%E0%A4%A'), kept(404)],
  'a way up': [get('/client/..%2f..%2fpackage.json'), kept(404)],
  'a name of a prototype as file': [get('/client/__proto__'), kept(404)],
  'names of a prototype in a query': [get('/v1/streams/str_x?__proto__=&protocol=a&protocol=b'), kept(406)],

  // The body is skipped, and what follows it is answered in its order.
  'a body for no route': [post(LENGTH).replace('/v1/chat', '/nothing'), kept(404)],
  'a body for another method': [post(LENGTH).replace('POST', 'DELETE'), kept(405)],
  'a body of another type': [post(LENGTH).replace('application/json', 'text/plain'), kept(415)],
}

/** 15 KB that a careless pattern takes minutes for. */
const SLOW: Record<string, string> = {
  accept: 'a/b;q='.repeat(2500),
  'accept ': ' ,'.repeat(7000),
  ' accept': `text/${' '.repeat(14_000)}x`,
  prefer: 'respond-async; '.repeat(1000),
  'if-none-match': 'W/"'.repeat(5000),
  'content-type': `application/json;${' '.repeat(14_000)}x`,
  'last-event-id': `${'0'.repeat(15_000)}x`,
  'idempotency-key': 'a '.repeat(7500),
  'x-request-id': `${'a-'.repeat(7500)} `,
  traceparent: `00-${'0'.repeat(15_000)}`,
  'content-encoding': 'gzip,'.repeat(3000),
  authorization: `Bearer ${' '.repeat(7000)}a${' '.repeat(7000)}b`,
  'x-api-key': ' a'.repeat(7500),
  'sluice-user': 'a:'.repeat(7500),
  'sluice-ticket': `r${'0'.repeat(15_000)}`,
}

/** The statuses on one connection, in their order. */
async function statusesOf(target: Target, bytes: string): Promise<number[]> {
  const text = await answersTo(target, bytes + NEXT)
  expect(text).not.toContain('"object":"list"')
  return [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status))
}

it('each broken or ambiguous request gets one status, and hides no second request', async () => {
  const target = await startTarget()
  const before = target.rss()
  const attacks = Object.entries(ATTACKS)
  const seen = await Promise.all(attacks.map(async ([name, [bytes]]) => [name, await statusesOf(target, bytes)]))
  expect(seen).toEqual(attacks.map(([name, [, statuses]]) => [name, statuses]))
  await expectUnharmed(target, { memory: 80, before })
})

it('headers of 15 KB that are slow to match are answered', async () => {
  const target = await startTarget({ SLUICE_KEYS: 'app:a-key' })
  const before = target.rss()
  for (const [name, value] of Object.entries(SLOW))
    for (const head of [
      get('/v1/streams/str_x', `${name.trim()}: ${value}\r\n`),
      post(`${LENGTH}\r\n${name.trim()}: ${value}`),
    ])
      for (const key of ['', 'authorization: Bearer a-key\r\n']) {
        const [status] = await statusesOf(target, head.replace('\r\n', `\r\n${key}`))
        expect([200, 202, 400, 401, 404, 406, 415], name).toContain(status)
      }
  await expectUnharmed(target, { memory: 80, before })
})
