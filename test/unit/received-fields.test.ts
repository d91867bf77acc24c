import { describe, expect, it } from 'vitest'
import { addGiven, setField, type Fields } from '../../providers/received-fields.ts'

describe('setField', () => {
  it.each(['a', '__proto__', 'constructor'])('sets a field, and no prototype: %s', (name) => {
    const fields: Fields = { [name]: 1 }
    setField(fields, name, { b: 2 })
    expect(Object.entries(fields)).toEqual([[name, { b: 2 }]])
    expect(Object.getPrototypeOf(fields)).toBe(Object.prototype)
    expect(fields.b).toBeUndefined()
  })
})

describe('addGiven', () => {
  it('takes over what has a value', () => {
    const fields: Fields = { a: 1, b: 2 }
    addGiven(fields, { b: 3, c: null, d: undefined, e: false })
    expect(fields).toEqual({ a: 1, b: 3, e: false })
  })

  it('looks at none of the fields that are there already', () => {
    const looks: PropertyKey[] = []
    const fields = new Proxy<Fields>(Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`k${i}`, 1])), {
      ownKeys: (target) => (looks.push('all'), Reflect.ownKeys(target)),
      get: (target, name) => (looks.push(name), Reflect.get(target, name)),
    })
    addGiven(fields, { a: 1, k1: 2 })
    expect(looks).toEqual([])
  })
})
