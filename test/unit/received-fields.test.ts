import { describe, expect, it } from 'vitest'
import { setField, type Fields } from '../../providers/received-fields.ts'

describe('setField', () => {
  it.each(['a', '__proto__', 'constructor'])('sets a field, and no prototype: %s', (name) => {
    const fields: Fields = { [name]: 1 }
    setField(fields, name, { b: 2 })
    expect(Object.entries(fields)).toEqual([[name, { b: 2 }]])
    expect(Object.getPrototypeOf(fields)).toBe(Object.prototype)
    expect(fields.b).toBeUndefined()
  })
})
