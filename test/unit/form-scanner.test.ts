import { describe, expect, it } from 'vitest'
import { FormScanner, readBoundary } from '../../src/http/multipart.ts'

const part = (disposition: string, value: string) => `--b\r\nContent-Disposition: ${disposition}\r\n\r\n${value}\r\n`
const file = part(
  'form-data; name="file"; filename="model; name=\\"model\\".wav"',
  'a\r\n--bb\r\n--c--b\r\nname="model"',
)
const model = part('form-data; name="model"', 'whisper-1 ä')
const end = '--b--\r\n'

function scan(form: string, size: number): FormScanner {
  const scanner = new FormScanner('b', 'model')
  const bytes = Buffer.from(form)
  for (let at = 0; at < bytes.length; at += size) scanner.push(bytes.subarray(at, at + size))
  return scanner
}

describe.each([1, 2, 7, 10_000])('a form in pieces of %i bytes', (size) => {
  it.each([
    ['first', model + part('form-data; name="file"; filename="a"', 'x') + end],
    ['last', part('form-data; name="file"; filename="a"', 'x\r\n-\r\n--') + model + end],
    ['after a preamble and empty parts', `Hi.\r\n${part('form-data; name=language', '')}${model}${end}`],
    ['with other headers', `--b\r\nX-A: name="no"\r\n${model.slice(5)}${end}`],
  ])('has its field where it is: %s', (_, form) => {
    const { found, over } = scan(form, size)
    expect(found?.value).toBe('whisper-1 ä')
    expect(Buffer.from(form).subarray(found!.start, found!.end).toString()).toBe('whisper-1 ä')
    expect(over).toBe(true)
  })

  it('may have none', () => {
    const { found, over } = scan(part('form-data; name="models"', 'x') + end, size)
    expect([found, over]).toEqual([undefined, true])
  })

  it('is not over before its last delimiter', () => {
    expect(scan(model, size).over).toBe(false)
  })

  it.each([
    ['the field twice', model + model + end],
    ['the field as a file', part('form-data; name="model"; filename="a"', 'm') + end],
    ['an encoded name', part("form-data; name*=utf-8''model", 'm') + end],
    ['an escaped name', part('form-data; name="mod\\el"', 'm') + end],
    ['two names', part('form-data; name="a"; name="model"', 'm') + end],
    ['no name', part('form-data', 'm') + end],
    ['no head', `--b\r\n\r\nm\r\n${end}`],
    ['another disposition', part('attachment; name="model"', 'm') + end],
    ['text after a boundary', file + end],
    ['a head without an end', `--b\r\nX-A: ${'a'.repeat(10_000)}`],
    ['a value without an end', model.trimEnd() + 'x'.repeat(2000)],
  ])('is refused with %s', (_, form) => {
    expect(() => scan(form, size)).toThrow('The form cannot be read')
  })
})

it.each([
  ['multipart/form-data; boundary=abc', 'abc'],
  ['Multipart/Form-Data;charset=utf-8; Boundary="a b:c"', 'a b:c'],
  ['multipart/form-data', undefined],
  ['multipart/form-data; boundary=', undefined],
  [`multipart/form-data; boundary=${'x'.repeat(71)}`, undefined],
  ['multipart/mixed; boundary=abc', undefined],
  ['application/json', undefined],
])('reads the boundary of %s', (type, boundary) => {
  expect(readBoundary(type)).toBe(boundary)
})
