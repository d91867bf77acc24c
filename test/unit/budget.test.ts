import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Budget, Hold, MEMORY_KINDS } from '../../src/store/budget.ts'

const MB = 1024 * 1024

/** How much a client gets by taking `step` bytes until it is refused. */
function fill(budget: Budget, client: string, step = MB): number {
  let taken = 0
  for (; budget.admits(client, step); taken += step) budget.add('prompts', client, step)
  return taken
}

describe('a budget', () => {
  it('gives a single client three quarters, and two greedy clients three sevenths each', () => {
    const alone = new Budget(256 * MB, { timesFree: 3 })
    expect(fill(alone, 'a')).toBe(192 * MB)
    expect(fill(alone, 'b')).toBe(48 * MB)
    const shared = new Budget(700 * MB, { timesFree: 3 })
    let refused = 0
    for (let turn = 0; refused < 2; turn++) {
      const client = turn % 2 === 0 ? 'a' : 'b'
      if (shared.admits(client, MB)) {
        shared.add('prompts', client, MB)
        refused = 0
      } else refused += 1
    }
    expect([shared.bytesOf('a'), shared.bytesOf('b')]).toEqual([300 * MB, 300 * MB])
  })

  it('always has room for another client', () => {
    const budget = new Budget(256 * MB, { timesFree: 3 })
    for (let i = 0; i < 5; i++) expect(fill(budget, `c${i}`, 64 * 1024)).toBeGreaterThan(0)
  })

  it('does not count reclaimable memory against a client', () => {
    const budget = new Budget(8 * MB, { timesFree: 3 })
    const finished = [3 * MB, 3 * MB]
    for (const bytes of finished) budget.add('finished', 'a', bytes)
    budget.reclaimer = {
      reclaim() {
        const bytes = finished.shift()
        if (bytes === undefined) return false
        budget.add('finished', 'a', -bytes)
        return true
      },
    }
    const hold = budget.hold('prompts', 'a', 4 * MB)
    expect(budget.bytes).toBe(7 * MB)
    expect(() => budget.hold('prompts', 'a', 4 * MB)).toThrow(expect.objectContaining({ code: 'store_full' }))
    hold.release()
    expect(finished).toEqual([3 * MB])
  })

  it('is zero once everything is released, even twice', () => {
    const step = fc.record({
      kind: fc.constantFrom(...MEMORY_KINDS),
      client: fc.constantFrom('a', 'b', ''),
      bytes: fc.nat(5000),
      become: fc.option(fc.record({ kind: fc.constantFrom(...MEMORY_KINDS), bytes: fc.nat(5000) })),
    })
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const budget = new Budget(Infinity)
        const holds = steps.map(({ kind, client, bytes, become }) => {
          const hold = new Hold(budget, kind, client, bytes)
          if (become) hold.become(become.kind, become.bytes)
          return hold
        })
        const expected = steps.reduce((sum, { bytes, become }) => sum + (become?.bytes ?? bytes), 0)
        expect(budget.bytes).toBe(expected)
        expect(MEMORY_KINDS.reduce((sum, kind) => sum + budget.held(kind), 0)).toBe(expected)
        for (const hold of [...holds, ...holds]) hold.release()
        expect(budget.bytes).toBe(0)
        for (const kind of MEMORY_KINDS) expect(budget.held(kind)).toBe(0)
      }),
    )
  })
})
