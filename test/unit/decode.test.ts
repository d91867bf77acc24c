import { describe, expect, it } from 'vitest'
import { EventDecoder, EventTooLargeError, type DecoderOptions } from '../../src/sse/decode.ts'
import { decodePieces, utf8 } from './recut.ts'

function decode(text: string, options?: DecoderOptions) {
  return decodePieces([utf8(text)], options)
}

function dataOf(text: string): string[] {
  return decode(text).map(({ data }) => data)
}

// https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
describe('EventDecoder', () => {
  it('reads the examples of the standard', () => {
    expect(dataOf('data: YHOO\ndata: +2\ndata: 10\n\n')).toEqual(['YHOO\n+2\n10'])
    expect(
      dataOf(': test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n'),
    ).toEqual(['first event', 'second event'])
    expect(dataOf('data\n\ndata\ndata\n\ndata:\n')).toEqual(['', '\n'])
    expect(dataOf('data:test\n\ndata: test\n\n')).toEqual(['test', 'test'])
  })

  it('names an event `message` unless the stream names it', () => {
    expect(decode('event: add\ndata: 1\n\ndata: 2\n\nevent:\ndata: 3\n\n').map(({ event }) => event)).toEqual([
      'add',
      'message',
      'message',
    ])
  })

  it('takes the last of several names', () => {
    expect(decode('event: a\nevent: b\ndata: 1\n\n')).toEqual([{ event: 'b', data: '1', id: '' }])
  })

  it('dispatches nothing without data, and forgets the name that came with it', () => {
    expect(decode('event: lost\n\ndata: 1\n\n')).toEqual([{ event: 'message', data: '1', id: '' }])
  })

  it('keeps the last id, from an event or from none, until another or an empty one comes', () => {
    expect(
      decode('data: a\n\nid: 1\ndata: b\n\ndata: c\n\nid: 2\n\ndata: d\n\nid\ndata: e\n\n').map(({ id }) => id),
    ).toEqual(['', '1', '1', '2', ''])
  })

  it('ignores an id that holds NUL', () => {
    expect(decode('id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n').map(({ id }) => id)).toEqual(['1', '1'])
  })

  it('takes one space off a value, and no other character', () => {
    expect(dataOf('data:a\ndata: a\ndata:  a\ndata:\ta\ndata: a \ndata::a\n\n')).toEqual(['a\na\n a\n\ta\na \n:a'])
  })

  it('ignores unknown fields, fields in capitals and spaces around a name', () => {
    expect(dataOf('DATA: a\n data: b\ndata : c\nfoo: d\nfoo\n\ndata: e\n\n')).toEqual(['e'])
  })

  it('tells of a retry that is digits, and of no other', () => {
    const retries: number[] = []
    const onRetry = (milliseconds: number) => retries.push(milliseconds)
    decode('retry: 10\nretry:0020\nretry\nretry: \nretry: 1.5\nretry: -1\nretry: 1e3\nretry: ٣\nretry: 5 \n', {
      onRetry,
    })
    expect(retries).toEqual([10, 20])
  })

  it('tells of comments, which are no part of an event', () => {
    const comments: string[] = []
    expect(
      decode('data: a\n: heartbeat\n:\n::x\ndata: b\n\n', { onComment: (text) => comments.push(text) }),
    ).toMatchObject([{ data: 'a\nb' }])
    expect(comments).toEqual(['heartbeat', '', ':x'])
  })

  it.each([
    ['LF', 'data: a\ndata: b\n\n'],
    ['CR', 'data: a\rdata: b\r\r'],
    ['CRLF', 'data: a\r\ndata: b\r\n\r\n'],
    ['all of them', 'data: a\r\ndata: b\n\r'],
    ['LF and then CRLF', 'data: a\ndata: b\r\n\n'],
  ])('ends lines with %s', (_, text) => {
    expect(dataOf(text)).toEqual(['a\nb'])
  })

  it('takes LF and then CR for two line breaks', () => {
    expect(dataOf('data: a\n\rdata: b\n\r')).toEqual(['a', 'b'])
  })

  it('ends a line with CR at once, and takes an LF that comes later for a part of it', () => {
    const decoder = new EventDecoder()
    expect(decoder.push(utf8('data: a\r\r'))).toMatchObject([{ data: 'a' }])
    expect(decoder.push(utf8('\ndata: b\n\n'))).toMatchObject([{ data: 'b' }])
  })

  it('does not take U+2028, U+2029, U+0085, VT or FF for line breaks', () => {
    expect(dataOf('data: a\u2028b\u2029c\u0085d\ve\ff\n\n')).toEqual(['a\u2028b\u2029c\u0085d\ve\ff'])
  })

  it('drops one byte order mark at the start, also when it is cut, and none that comes later', () => {
    expect(dataOf('\ufeffdata: a\n\n')).toEqual(['a'])
    expect(decodePieces(Array.from(utf8('\ufeffdata: a\n\n'), (byte) => Uint8Array.of(byte)))).toMatchObject([
      { data: 'a' },
    ])
    expect(dataOf('\ufeff\ufeffdata: a\n\ndata: \ufeffb\n\n')).toEqual(['\ufeffb'])
  })

  it('replaces bytes that are no UTF-8, as the standard asks', () => {
    const bytes = [...utf8('data: a'), 0xff, ...utf8('b\n\n')]
    expect(decodePieces([Uint8Array.from(bytes)])).toMatchObject([{ data: 'a\ufffdb' }])
  })

  it('returns an event without its blank line only from end()', () => {
    const decoder = new EventDecoder()
    expect(decoder.push(utf8('id: 1\ndata: a\n\nevent: last\ndata: b\ndata: c'))).toHaveLength(1)
    expect(decoder.end()).toEqual([{ event: 'last', data: 'b\nc', id: '1' }])
    expect(decoder.end()).toEqual([])
  })

  it('returns nothing from end() when nothing is unfinished', () => {
    const decoder = new EventDecoder()
    decoder.push(utf8('data: a\n\nevent: x\nid: 4'))
    expect(decoder.end()).toEqual([])
    expect(new EventDecoder().end()).toEqual([])
  })

  it('ends a character that was cut off with a replacement', () => {
    const decoder = new EventDecoder()
    decoder.push(utf8('data: 😀').subarray(0, -1))
    expect(decoder.end()).toMatchObject([{ data: '\ufffd' }])
  })
})

describe('the size cap of EventDecoder', () => {
  const options = { maxEventBytes: 100 }

  it('refuses a line that does not end', () => {
    const decoder = new EventDecoder(options)
    expect(decoder.push(utf8(`data: ${'x'.repeat(90)}`))).toEqual([])
    expect(() => decoder.push(utf8('x'.repeat(90)))).toThrow(EventTooLargeError)
  })

  it('refuses an event that does not end', () => {
    const decoder = new EventDecoder(options)
    expect(decoder.push(utf8(`data: ${'x'.repeat(60)}\n`))).toEqual([])
    expect(() => decoder.push(utf8(`data: ${'x'.repeat(60)}\n`))).toThrow(EventTooLargeError)
  })

  it('refuses an event that is too large also when one chunk brings the whole of it', () => {
    expect(() => decode(`data: ${'x'.repeat(200)}\n\n`, options)).toThrow(EventTooLargeError)
    expect(() => decode(`${`data: ${'x'.repeat(60)}\n`.repeat(2)}\n`, options)).toThrow(EventTooLargeError)
  })

  it('takes any number of events of less than that', () => {
    expect(decode(`data: ${'x'.repeat(80)}\n\n`.repeat(50), options)).toHaveLength(50)
  })

  it('counts comments within an event, since the data keeps their chunks in memory', () => {
    const decoder = new EventDecoder(options)
    decoder.push(utf8(`data: ${'x'.repeat(20)}\n`))
    const comments = utf8(`:${'x'.repeat(30)}\n`)
    expect(decoder.push(comments)).toEqual([])
    expect(decoder.push(comments)).toEqual([])
    expect(() => decoder.push(comments)).toThrow(EventTooLargeError)
  })

  it('starts again with each event, however the chunks are cut', () => {
    const decoder = new EventDecoder(options)
    const halves = [utf8(`${'x'.repeat(40)}\n\ndata: `), utf8('x'.repeat(40))]
    const events = Array.from({ length: 50 }, () => halves.flatMap((half) => decoder.push(half)))
    expect(events.flat()).toHaveLength(49)
  })

  it('is 8 MiB by default', () => {
    const line = utf8(`data: ${'x'.repeat(1024 * 1024)}\n`)
    const push = (decoder: EventDecoder, lines: number) => {
      for (let i = 0; i < lines; i++) decoder.push(line)
      return decoder.push(utf8('\n'))
    }
    expect(push(new EventDecoder(), 7)).toHaveLength(1)
    expect(() => push(new EventDecoder(), 8)).toThrow('An event is larger than 8388608 bytes')
  })

  it.each(['data:\n', 'data\n', 'data: \n', 'data: x\n'])('refuses an event with too many lines of %j', (line) => {
    const lines = { maxDataLines: 3 }
    expect(decode(`${line.repeat(3)}\n`.repeat(2), lines)).toHaveLength(2)
    expect(() => decode(line.repeat(4), lines)).toThrow('An event has more than 3 lines of data')
  })

  it('refuses an endless event of empty lines long before the byte limit', () => {
    const decoder = new EventDecoder()
    const lines = utf8('data:\n'.repeat(1024))
    for (let i = 0; i < 64; i++) decoder.push(lines)
    expect(() => decoder.push(lines)).toThrow(EventTooLargeError)
  })
})

it('a character that is cut survives when the bytes that it came in are overwritten', () => {
  const decoder = new EventDecoder()
  const bytes = Buffer.from('data: Grüße, 世界 👋\n\n')
  for (let cut = 1; cut < bytes.length; cut++) {
    const shared = Buffer.from(bytes.subarray(0, cut))
    const before = decoder.push(shared)
    shared.fill(0)
    const events = [...before, ...decoder.push(bytes.subarray(cut))]
    expect(events.map(({ data }) => data)).toEqual(['Grüße, 世界 👋'])
  }
})
