import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeComment, encodeEvent, encodeJson } from '../../src/sse/encode.ts'

describe('encodeEvent', () => {
  it('writes retry, name, data and id, and ends with a blank line', () => {
    expect(encodeEvent({ data: 'hi', event: 'delta', id: 7, retry: 1500 })).toBe(
      'retry: 1500\nevent: delta\ndata: hi\nid: 7\n\n',
    )
  })

  it('leaves out what is not given', () => {
    expect(encodeEvent({ data: 'hi' })).toBe('data: hi\n\n')
    expect(encodeEvent({ id: undefined, event: undefined, data: undefined })).toBe('')
  })

  it('ends a `retry` of its own without a blank line, which readers would take for the end of an event', () => {
    expect(encodeEvent({ retry: 0 })).toBe('retry: 0\n')
  })

  it('writes an event without data so that it arrives: readers drop an event without a line of data', () => {
    expect(encodeEvent({ event: 'end' })).toBe('event: end\ndata:\n\n')
    expect(encodeEvent({ id: 3 })).toBe('id: 3\n\n')
  })

  it('keeps an empty string apart from no data', () => {
    expect(encodeEvent({ event: 'done', data: '' })).toBe('event: done\ndata: \n\n')
  })

  it.each([
    ['LF', 'a\nb', 'data: a\ndata: b\n\n'],
    ['CR', 'a\rb', 'data: a\ndata: b\n\n'],
    ['CRLF', 'a\r\nb', 'data: a\ndata: b\n\n'],
    ['LF before CR, which are two', 'a\n\rb', 'data: a\ndata: \ndata: b\n\n'],
    ['one at the end', 'a\n', 'data: a\ndata: \n\n'],
    ['one at the start', '\na', 'data: \ndata: a\n\n'],
    ['nothing but one', '\r', 'data: \ndata: \n\n'],
  ])('writes a line of its own for each line of data: %s', (_, data, frame) => {
    expect(encodeEvent({ data })).toBe(frame)
  })

  it('takes only CR and LF for line breaks in text', () => {
    for (const data of ['a\u2028b', 'a\u2029b', 'a\u0085b', 'a\vb', 'a\fb', '😀', '\0'])
      expect(encodeEvent({ data })).toBe(`data: ${data}\n\n`)
  })

  it('does not lose a space or a colon at the start of data', () => {
    expect(encodeEvent({ data: ' a' })).toBe('data:  a\n\n')
    expect(encodeEvent({ data: ':a' })).toBe('data: :a\n\n')
  })

  it('writes anything but a string as JSON', () => {
    expect(encodeEvent({ data: { content: 'a\nb' } })).toBe('data: {"content":"a\\nb"}\n\n')
    expect(encodeEvent({ data: null })).toBe('data: null\n\n')
    expect(encodeEvent({ data: 0 })).toBe('data: 0\n\n')
  })

  it('writes a lone surrogate in JSON as an escape, which UTF-8 can carry', () => {
    expect(encodeEvent({ data: { content: '\ud83d' } })).toBe('data: {"content":"\\ud83d"}\n\n')
  })

  it('refuses what has no JSON form', () => {
    expect(() => encodeEvent({ data: () => 1 })).toThrow(TypeError)
    expect(() => encodeEvent({ data: Symbol('data') })).toThrow(TypeError)
    expect(() => encodeEvent({ data: 1n })).toThrow(TypeError)
  })

  it.each(['a\nb', 'a\rb', 'a\r\nb', 'a\0b', '\n', '\0'])('refuses %j as a name or an id', (value) => {
    expect(() => encodeEvent({ event: value, data: '' })).toThrow('`event` holds a line break or NUL')
    expect(() => encodeEvent({ id: value, data: '' })).toThrow('`id` holds a line break or NUL')
  })

  it.each([-1, 1.5, NaN, Infinity])('refuses %d as milliseconds of retry', (retry) => {
    expect(() => encodeEvent({ retry })).toThrow('`retry` is not a whole number')
  })

  it('writes whole frames only: no data can end its frame or begin another', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('\r', '\n', 'a', ':', ' ') }), (data) => {
        const frame = encodeEvent({ id: 1, event: 'delta', data })
        expect(frame).toMatch(/^event: delta\n(data: [^\r\n]*\n)+id: 1\n\n$/)
      }),
    )
  })
})

describe('encodeComment', () => {
  it('writes a comment without a blank line, which readers would take for the end of an event', () => {
    expect(encodeComment('heartbeat')).toBe(': heartbeat\n')
    expect(encodeComment('')).toBe(': \n')
  })

  it('writes each line as a comment, so that none becomes a field', () => {
    expect(encodeComment('a\ndata: b\r\nc\rd')).toBe(': a\n: data: b\n: c\n: d\n')
  })
})

describe('encodeJson', () => {
  it('escapes what other readers take for a line break', () => {
    expect(encodeJson({ content: 'a\u2028b\u2029c\u0085d' })).toBe('{"content":"a\\u2028b\\u2029c\\u0085d"}')
  })

  it('says the same as JSON.stringify, on one line by any count', () => {
    const unit = fc.constantFrom('\u0085', '\u2028', '\u2029', '\n', '\v', '"', '\\', '\ud83d', 'é', '😀')
    fc.assert(
      fc.property(fc.string({ unit }), (text) => {
        const json = encodeJson({ [text]: text })
        expect(JSON.parse(json)).toEqual({ [text]: text })
        expect(json).not.toMatch(/[\r\n\v\f\u0085\u2028\u2029]/)
      }),
    )
  })
})
