import * as fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { ResponseParser } from '../../providers/transport/http1/response-parser.ts'
import { MalformedResponseError, TruncatedResponseError } from '../../providers/transport/transport.ts'
import { anyMangledResponse, anyResponse } from '../support/any-response.ts'
import { startNodeClient, type Reading } from '../support/node-client.ts'
import { anyCuts, recut } from './recut.ts'

interface Parsed extends Reading {
  error?: unknown
  /** How often there was a part of the body. */
  parts: number
  over: boolean
  persistent: boolean
  keepAlive: string | undefined
}

/** What becomes of these pieces, and of the connection's end after them. */
function parse(...pieces: (Uint8Array | string)[]): Parsed {
  const reading: Reading = { body: '' }
  let parts = 0
  let error: unknown
  const parser = new ResponseParser({
    onHead: ({ status, headers }) => (reading.head = { status, headers: [...headers] }),
    onBody: (bytes) => {
      reading.body += bytes.toString('latin1')
      parts += 1
    },
  })
  try {
    // Copies, as the parser writes to what it reads.
    for (const piece of pieces)
      parser.push(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : Buffer.from(piece))
    parser.close()
  } catch (thrown) {
    error = thrown
    reading.refused = (thrown as Error).message
  }
  const { over, persistent, keepAlive } = parser
  return { ...reading, ...(error !== undefined && { error }), parts, over, persistent, keepAlive }
}

const OK = 'HTTP/1.1 200 OK\r\n'
const CHUNKED = `${OK}transfer-encoding: chunked\r\n\r\n`

/** What can be compared with another client. */
const readingOf = ({ head, body, refused }: Reading) => (refused === undefined ? { head, body } : 'refused')

describe('a response', () => {
  it('is to us what it is to Node, however it is cut', async () => {
    const node = await startNodeClient()
    await fc.assert(
      fc.asyncProperty(anyResponse, anyCuts, async (bytes, cuts) => {
        const pieces = recut(bytes, cuts)
        const parsed = parse(...pieces)
        expect(readingOf(parsed)).toEqual(readingOf(await node(bytes)))
        expect(parsed.refused).toBeUndefined()
        expect(parsed.parts).toBeLessThanOrEqual(pieces.length)
      }),
      { numRuns: 300 },
    )
  })

  /**
   * Node is stricter after the head, where nothing is of use to us: extensions, blanks around them, trailers, and what
   * follows a response (no request follows that on its connection). So it is with what follows an interim response
   * that ends its connection, and with the length of a response that has no body.
   */
  function isStricter(theirs: Reading, ours: Reading): boolean {
    const why = theirs.refused ?? ''
    if (/what follows the response|after `Connection: close`/i.test(why)) return true
    if (theirs.head) return /chunk (extension|size)|header/i.test(why)
    return (ours.head?.status === 204 || ours.head?.status === 304) && /Content-Length/.test(why)
  }

  /**
   * Node is laxer in the head: it skips line breaks before it, takes CR to be a part of a reason or the end of it, and
   * reads what has a coding that it does not know until the connection closes.
   */
  function isLaxer(ours: Reading, bytes: Buffer): boolean {
    if (ours.refused === undefined) return false
    const oddLine = /(^|\n)HTTP[^\n]*\r(?!\n)/.test(bytes.toString('latin1'))
    return oddLine || /no status line|transfer coding other than chunked/.test(ours.refused)
  }

  it('that is mangled is refused when Node refuses it, but for what we are stricter or laxer in', async () => {
    const node = await startNodeClient()
    let compared = 0
    await fc.assert(
      fc.asyncProperty(anyMangledResponse, async (bytes) => {
        const ours = parse(bytes)
        const theirs = await node(bytes)
        if (ours.head && theirs.head) expect(ours.head).toEqual(theirs.head)
        if (isStricter(theirs, ours) || isLaxer(ours, bytes)) return
        compared += 1
        expect(readingOf(ours)).toEqual(readingOf(theirs))
      }),
      { numRuns: 1000 },
    )
    expect(compared).toBeGreaterThan(500)
  })

  it('that is mangled is the same however it is cut: what came before the fault, the fault, what follows', () => {
    fc.assert(
      fc.property(anyMangledResponse, anyCuts, (bytes, cuts) => {
        const { parts: _, ...whole } = parse(bytes)
        const { parts: __, ...cut } = parse(...recut(bytes, cuts))
        expect(cut).toEqual(whole)
      }),
      { numRuns: 2000 },
    )
  })

  it('has the body of one read as one part, whatever the chunks', () => {
    const chunks = 'a\r\n0123456789\r\n1;x\r\na\r\n2\r\nbc\r\n'
    expect(parse(CHUNKED + chunks, chunks, '0\r\n\r\n')).toMatchObject({ body: '0123456789abc0123456789abc', parts: 2 })
  })

  it('has its interim responses kept apart', () => {
    const interim = 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'
    expect(parse(`HTTP/1.1 100\r\n\r\n${interim}${OK}content-length: 1\r\n\r\na`)).toMatchObject({
      head: { status: 200, headers: [['content-length', '1']] },
      body: 'a',
      over: true,
    })
  })

  it('has its headers as they are, joined where they come several times', () => {
    expect(parse(`${OK}A:\t b  c \r\nB:\r\na: d\r\nC: \xe4\r\n\r\n`).head?.headers).toEqual([
      ['a', 'b  c, d'],
      ['b', ''],
      ['c', 'ä'],
    ])
  })

  it('may have a head in one read and a buffer full of its body in the next', () => {
    const body = 'x'.repeat(65_534)
    expect(parse(`${OK}content-length: 65534\r\n`, `\r\n${body}`)).toMatchObject({ body, over: true, persistent: true })
  })

  it('may be told of no more', () => {
    const told: string[] = []
    const parser = new ResponseParser({
      onHead: () => {
        told.push('head')
        parser.abandon()
      },
      onBody: () => told.push('body'),
    })
    parser.push(Buffer.from(`${CHUNKED}1\r\na\r\n0\r\n\r\n`))
    parser.push(Buffer.from('any'))
    expect(told).toEqual(['head'])
  })
})

describe('a head', () => {
  it.each([
    ['of another protocol', 'SSH-2.0-OpenSSH_9.6\r\n\r\n'],
    ['of HTTP/2', 'HTTP/2 200\r\n\r\n'],
    ['of HTTP/0.9', '<html>\r\n\r\n'],
    ['without a status', 'HTTP/1.1 OK\r\n\r\n'],
    ['with a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
    ['with a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
    ['with a status below 100', 'HTTP/1.1 099 OK\r\n\r\n'],
    ['that changes the protocol', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'],
    ['with a line that ends in LF', `${OK}a: b\nc: d\r\n\r\n`],
    ['with CR in a line', `${OK}a: b\rc: d\r\n\r\n`],
    ['with NUL in a header', `${OK}a: b\0\r\n\r\n`],
    ['with a header without a colon', `${OK}a\r\n\r\n`],
    ['with a header without a name', `${OK}: a\r\n\r\n`],
    ['with a blank before a colon', `${OK}a : b\r\n\r\n`],
    ['with a folded line', `${OK}a: b\r\n c\r\n\r\n`],
    ['with no length where one is said', `${OK}content-length:\r\n\r\n`],
    ['with a length below nothing', `${OK}content-length: -1\r\n\r\n`],
    ['with a signed length', `${OK}content-length: +1\r\n\r\na`],
    ['with a length in hex', `${OK}content-length: 0x1\r\n\r\na`],
    ['with a length beyond counting', `${OK}content-length: 9007199254740993\r\n\r\na`],
    ['with two lengths', `${OK}content-length: 1\r\ncontent-length: 2\r\n\r\na`],
    ['with two lengths in one', `${OK}content-length: 1, 2\r\n\r\na`],
    ['with a coding that is unknown', `${OK}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ['with chunks within chunks', `${OK}transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n`],
    ['that is too long', `${OK}a: ${'b'.repeat(65_536)}\r\n\r\n`],
    ['that has no end', ...Array.from({ length: 66 }, () => 'a'.repeat(1000))],
    ['with interim responses that have no end', ...Array.from({ length: 5000 }, () => 'HTTP/1.1 100\r\n\r\n')],
  ])('%s is refused', (_, ...pieces) => {
    const { head, error } = parse(...pieces)
    expect(error).toBeInstanceOf(MalformedResponseError)
    expect(head).toBeUndefined()
  })

  it('may say the same length more than once', () => {
    expect(parse(`${OK}content-length: 1\r\ncontent-length: 1 ,1\r\n\r\na`)).toMatchObject({ body: 'a', over: true })
  })

  // Patterns that try each blank as the start of the end would take a minute for these.
  it('full of blanks is read in no time', () => {
    const blanks = ' '.repeat(60_000)
    for (let i = 0; i < 20; i++) {
      expect(parse(`${OK}a: b${blanks}c\r\n\r\n`).head?.headers).toEqual([['a', `b${blanks}c`]])
      for (const field of [`a: ${blanks}\0`, `a: b${blanks}\0`, `content-length: 1${blanks}1`])
        expect(parse(`${OK}${field}\r\n\r\n`).error).toBeInstanceOf(MalformedResponseError)
    }
  })
})

describe('chunks', () => {
  it.each([
    ['without a size', '\r\n'],
    ['with a size that is no number', 'g\r\n'],
    ['with a size below nothing', '-1\r\n'],
    ['with a size in another notation', '0x1\r\na\r\n'],
    ['with a size beyond counting', '10000000000000\r\n'],
    ['with a size that ends in LF', '1\na\r\n'],
    ['with a size that ends in CR', '1\ra\r\n'],
    ['with CR in an extension', '1;a\rb\r\na\r\n'],
    ['that are longer than they say', '1\r\nab\r\n'],
    ['that are shorter than they say', '2\r\na\r\n\r\n'],
    ['with LF after them', '1\r\na\n'],
    ['with an extension that is too long', `1;${'a'.repeat(4096)}\r\na\r\n`],
    ['with a trailer that ends in LF', '0\r\na: b\n\r\n'],
    [
      'with extensions that are too long in total',
      ...Array.from({ length: 9 }, () => `1;${'a'.repeat(2000)}\r\na\r\n`),
    ],
    ['with a trailer that is too long', '0\r\n', ...Array.from({ length: 66 }, () => 'a'.repeat(1000))],
    ['with trailers that have no end', '0\r\n', ...Array.from({ length: 20_000 }, () => 'a: b\r\n')],
  ])('%s are refused, after what came before them', (_, ...pieces) => {
    const { head, body, error } = parse(CHUNKED, '2\r\nok\r\n', pieces.join(''))
    expect(error).toBeInstanceOf(MalformedResponseError)
    expect(head?.status).toBe(200)
    expect(body.slice(0, 2)).toBe('ok')
    expect(parse(`${CHUNKED}2\r\nok\r\n${pieces.join('')}`)).toMatchObject({ body, error })
  })

  it('may have zeros before their size, and extensions and blanks after it', () => {
    expect(parse(`${CHUNKED}0000000001\r\na\r\n1 ;b="c"\r\nd\r\n1  \r\ne\r\n0;f\r\n\r\n`)).toMatchObject({
      body: 'ade',
      over: true,
    })
  })
})

describe('the end of a connection', () => {
  it.each([
    ['before a response', ''],
    ['within a head', OK],
    ['after an interim response', 'HTTP/1.1 100\r\n\r\n'],
    ['within a body of a length', `${OK}content-length: 2\r\n\r\na`],
    ['within the size of a chunk', `${CHUNKED}1`],
    ['within a chunk', `${CHUNKED}2\r\na`],
    ['between chunks', `${CHUNKED}1\r\na\r\n`],
    ['before the trailers have ended', `${CHUNKED}0\r\n`],
  ])('%s is one too soon', (_, bytes) => {
    expect(parse(bytes).error).toBeInstanceOf(TruncatedResponseError)
  })

  it('is that of a response that says no other', () => {
    expect(parse(`${OK}\r\na`, 'b')).toMatchObject({ body: 'ab', over: true, persistent: false })
  })
})

describe('another request can follow', () => {
  it.each<[what: string, follows: boolean, response: string]>([
    ['a body of a length', true, `${OK}content-length: 1\r\n\r\na`],
    ['no body of a length', true, `${OK}content-length: 0\r\n\r\n`],
    ['chunks', true, `${CHUNKED}1\r\na\r\n0\r\n\r\n`],
    ['chunks with trailers', true, `${CHUNKED}1\r\na\r\n0\r\nx: y\r\n\r\n`],
    ['204', true, 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['304 with the length of what it is not', true, 'HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n'],
    ['HTTP/1.0 that keeps alive', true, 'HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 1\r\n\r\na'],
    ['HTTP/1.0', false, 'HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na'],
    [
      'HTTP/1.0 with chunks',
      false,
      'HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['a wish to close', false, `${OK}connection: close\r\ncontent-length: 1\r\n\r\na`],
    ['a wish to close among others', false, `${OK}Connection: x, Close\r\ncontent-length: 1\r\n\r\na`],
    ['chunks that have a length too', false, `${OK}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['a response that is followed by something', false, `${OK}content-length: 1\r\n\r\nab`],
    ['204 that is followed by something', false, 'HTTP/1.1 204 No Content\r\n\r\na'],
  ])('%s: %s', (_, follows, response) => {
    expect(parse(response)).toMatchObject({ over: true, persistent: follows })
  })

  it('for as long as the server says', () => {
    expect(parse(`${OK}keep-alive: timeout=5\r\ncontent-length: 0\r\n\r\n`).keepAlive).toBe('timeout=5')
  })
})

describe('a response to HEAD', () => {
  const parseHead = (text: string) => {
    const onHead = vi.fn()
    const onBody = vi.fn()
    const parser = new ResponseParser({ onHead, onBody }, { bodiless: true })
    for (const byte of Buffer.from(text, 'latin1')) parser.push(Buffer.of(byte))
    return { parser, onHead, onBody }
  }

  it.each([
    ['a length', 'content-length: 5\r\n'],
    ['chunks', 'transfer-encoding: chunked\r\n'],
    ['neither', ''],
  ])('is over with its head, and leaves the connection usable: %s', (_, field) => {
    const { parser, onHead, onBody } = parseHead(`${OK}${field}\r\n`)
    expect(parser).toMatchObject({ over: true, persistent: true })
    expect(onHead).toHaveBeenCalledOnce()
    expect(onBody).not.toHaveBeenCalled()
  })

  it('that brings a body all the same leaves the connection unusable', () => {
    const { parser, onBody } = parseHead(`${OK}content-length: 2\r\n\r\nok`)
    expect(parser).toMatchObject({ over: true, persistent: false })
    expect(onBody).not.toHaveBeenCalled()
  })
})
