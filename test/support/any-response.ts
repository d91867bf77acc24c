import * as fc from 'fast-check'

const anyOf = (characters: string) => fc.constantFrom(...Array.from(characters))
const anyToken = fc.string({ unit: anyOf("aZ09!#$%&'*+-.^_`|~"), minLength: 1, maxLength: 8 })
const anyWord = fc.string({ unit: anyOf('aZ09",;:=/()<>@[]{}?\\\u0080ä\u00ff'), maxLength: 8 })
const anySpace = fc.constantFrom('', ' ', '  ', '\t', ' \t ')
const anyValue = fc.tuple(anyWord, anySpace, anyWord).map((parts) => parts.join(''))
/** None of those that say how the body is framed, which have a meaning that is not any. */
const anyField = fc
  .tuple(
    fc.oneof(
      anyToken.map((name) => `x-${name}`),
      fc.constantFrom('Content-Type', 'ETag', 'X-A'),
    ),
    anySpace,
    anyValue,
    anySpace,
  )
  .map(([name, before, value, after]) => `${name}:${before}${value}${after}\r\n`)
const anyFields = fc.array(anyField, { maxLength: 4 }).map((fields) => fields.join(''))

const anyReason = fc.constantFrom(' OK', ' ', '', ' Not  Found\t!', ' \u00e4')
const anyInterim = fc
  .tuple(fc.constantFrom(100, 102, 103, 199), anyReason, anyFields)
  .map(([status, reason, fields]) => `HTTP/1.1 ${status}${reason}\r\n${fields}\r\n`)

const anyCase = (name: string) => fc.constantFrom(name, name.toLowerCase(), name.toUpperCase())
const anyBytes = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1'))

const anyChunk = fc
  .tuple(anyBytes, fc.nat(4), fc.boolean(), fc.constantFrom('', '', '', ';a', ';a=b', ';a="b;c"', ';a=b;c=d'))
  .filter(([bytes]) => bytes !== '')
  .map(([bytes, zeros, upper, extension]) => {
    const digits = '0'.repeat(zeros) + bytes.length.toString(16)
    return `${upper ? digits.toUpperCase() : digits}${extension}\r\n${bytes}\r\n`
  })

/** No tabs: Node takes those to be a part of a coding or a length. */
const anySpaces = fc.constantFrom('', ' ', '  ')

/** What says how the body is framed, and the body. */
const anyFraming = fc.oneof(
  fc
    .tuple(
      anyCase('Transfer-Encoding'),
      anySpaces,
      anyCase('Chunked'),
      fc.array(anyChunk, { maxLength: 6 }),
      fc.constantFrom('', ';z'),
      anyFields,
    )
    .map(([name, space, coding, chunks, extension, trailers]) => ({
      field: `${name}:${space}${coding}${space}\r\n`,
      body: `${chunks.join('')}0${extension}\r\n${trailers}\r\n`,
    })),
  fc.tuple(anyCase('Content-Length'), anySpaces, anyBytes).map(([name, space, body]) => ({
    field: `${name}:${space}${body.length}${space}\r\n`,
    body,
  })),
  anyBytes.map((body) => ({ field: '', body })),
)

/** Any response that is one, with interim responses before it. */
export const anyResponse: fc.Arbitrary<Buffer> = fc
  .record({
    interim: fc.array(anyInterim, { maxLength: 2 }),
    minor: fc.constantFrom(1, 1, 1, 0),
    status: fc.constantFrom(200, 200, 201, 204, 205, 304, 400, 429, 503, 999),
    reason: anyReason,
    before: anyFields,
    framing: anyFraming,
    after: anyFields,
  })
  .map(({ interim, minor, status, reason, before, framing, after }) => {
    const head = `HTTP/1.${minor} ${status}${reason}\r\n${before}${framing.field}${after}\r\n`
    const body = status === 204 || status === 304 ? '' : framing.body
    return Buffer.from(interim.join('') + head + body, 'latin1')
  })

const anyAwkward = fc.oneof(
  fc.constantFrom('', '\r\n', '\r\n\r\n', 'HTTP/1.1 ', 'a: b\r\n'),
  anyOf('\r\n\0 :;,05fg-+\x7f\x80'),
)

/** Such a response with a few bytes taken out, or others put in: no tabs, see above. */
export const anyMangledResponse: fc.Arbitrary<Buffer> = fc
  .tuple(anyResponse, fc.array(fc.tuple(fc.nat(), fc.nat(3), anyAwkward), { minLength: 1, maxLength: 2 }))
  .map(([bytes, edits]) => {
    let text = bytes.toString('latin1')
    for (const [place, length, put] of edits) {
      const at = place % (text.length + 1)
      text = text.slice(0, at) + put + text.slice(at + length)
    }
    return Buffer.from(text, 'latin1')
  })
