import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isPlainRecord, isRecord, JsonError, parseJson, recordOrEmpty, setField } from '../../src/json.ts'

describe('parseJson', () => {
  it('equals JSON.parse, whatever the strings contain', () => {
    const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('"', '\\', '\\"', '[[[', '{"a":', ',,,'))
    fc.assert(
      fc.property(fc.jsonValue(), fc.array(text), (value, texts) => {
        const json = JSON.stringify({ value, texts, padding: ' '.repeat(300) })
        expect(parseJson(json, { depth: 100, size: 100_000 })).toEqual(JSON.parse(json))
      }),
    )
  })

  it('counts values and names exactly', () => {
    const limits = { depth: 8, size: 7 }
    const padding = ' '.repeat(20)
    expect(parseJson(`${padding}{"a":[1,2],"b":"x,:[{"}`, { ...limits, size: 8 })).toEqual({ a: [1, 2], b: 'x,:[{' })
    expect(() => parseJson(`${padding}{"a":[1,2],"b":[3,4]}`, limits)).toThrow('more than 7 values and names')
  })

  it('refuses only text that is nested too deeply', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
    expect(() => parseJson(nested(128))).not.toThrow()
    expect(() => parseJson(nested(129))).toThrow('nested more than 128 levels deep')
    expect(() => parseJson(nested(1_000_000))).toThrow(JsonError)
    expect(() => parseJson(`[${'[],'.repeat(1000)}1]`)).not.toThrow()
  })

  it('says why text is not JSON', () => {
    expect(() => parseJson('{"a":')).toThrow(JsonError)
    expect(() => parseJson(`"${'x'.repeat(1000)}`)).toThrow(JsonError)
  })
})

describe('setField', () => {
  it.each(['a', '__proto__', 'constructor'])('sets a field, never a prototype: %s', (name) => {
    const fields: Record<string, unknown> = { [name]: 1 }
    setField(fields, name, { b: 2 })
    expect(Object.entries(fields)).toEqual([[name, { b: 2 }]])
    expect(Object.getPrototypeOf(fields)).toBe(Object.prototype)
    expect(fields.b).toBeUndefined()
  })
})

describe('isRecord', () => {
  it('is true of objects that are no lists, of any class', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const expected = JSON.stringify(value).startsWith('{')
        expect([isRecord(value), isPlainRecord(value)]).toEqual([expected, expected])
        expect(recordOrEmpty(value)).toEqual(expected ? value : {})
      }),
    )
    expect([new Error('no'), Object.create(null), new URL('a:b')].every(isRecord)).toBe(true)
    expect([undefined, () => {}, Symbol('no')].some(isRecord)).toBe(false)
  })

  it('is true of objects of YAML that are not plain', () => {
    for (const value of [Buffer.from('bytes'), new Date(0), new Set(), new Map()])
      expect([isRecord(value), isPlainRecord(value)]).toEqual([true, false])
  })
})
