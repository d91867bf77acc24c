import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AppendMap } from '../../src/wires/append-map.ts'

describe('AppendMap', () => {
  it('keeps every version unchanged, whichever version is extended', () => {
    const steps = fc.array(fc.record({ to: fc.nat(), key: fc.nat(8), value: fc.nat() }), { maxLength: 30 })
    fc.assert(
      fc.property(steps, (added) => {
        const versions = [{ map: new AppendMap<number, number>(), expected: new Map<number, number>() }]
        for (const { to, key, value } of added) {
          const { map, expected } = versions[to % versions.length]!
          versions.push({
            map: map.with(key, value),
            expected: expected.has(key) ? expected : new Map(expected).set(key, value),
          })
        }
        for (const { map, expected } of versions) {
          expect(map.size).toBe(expected.size)
          expect([...map.keys()]).toEqual([...expected.keys()])
          for (let key = 0; key <= 8; key++)
            expect([map.has(key), map.get(key)]).toEqual([expected.has(key), expected.get(key)])
        }
      }),
    )
  })
})
