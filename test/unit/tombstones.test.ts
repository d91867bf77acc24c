import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Budget } from '../../src/store/budget.ts'
import { Tombstones } from '../../src/store/tombstones.ts'

function newTombstones(most?: number) {
  const budget = new Budget(Infinity)
  const tombstones = new Tombstones(budget, 1000, most === undefined ? {} : { most })
  const kept = (client: string, count: number) =>
    Array.from({ length: count }, (_, i) => `${client}${i}`).filter((id) => tombstones.has(id, client))
  const add = (client: string, i: number) => tombstones.add(`${client}${i}`, client, client)
  return { budget, tombstones, kept, add }
}

describe('tombstones', () => {
  it('of a client that has many never displace those of one that has few', () => {
    const { kept, add } = newTombstones(10)
    for (let i = 0; i < 3; i++) add('modest', i)
    for (let i = 0; i < 1000; i++) add('greedy', i)
    expect(kept('modest', 3)).toHaveLength(3)
    expect(kept('greedy', 1000)).toEqual([
      'greedy993',
      'greedy994',
      'greedy995',
      'greedy996',
      'greedy997',
      'greedy998',
      'greedy999',
    ])
  })

  it('are charged to their client and, when memory is short, dropped where there are most', () => {
    const { budget, tombstones, kept, add } = newTombstones()
    for (let i = 0; i < 4; i++) add('a', i)
    for (let i = 0; i < 2; i++) add('b', i)
    expect(budget.bytesOf('a')).toBe(2 * budget.bytesOf('b'))
    expect([tombstones.reclaim(), tombstones.reclaim()]).toEqual([true, true])
    expect([kept('a', 4), kept('b', 2)]).toEqual([
      ['a2', 'a3'],
      ['b0', 'b1'],
    ])
    while (tombstones.reclaim());
    expect(budget.bytes).toBe(0)
    expect(tombstones.reclaim()).toBe(false)
  })

  it('are dropped when they expire', () => {
    const { budget, tombstones, add } = newTombstones()
    for (const client of ['a', 'b']) add(client, 0)
    tombstones.expire(performance.now())
    expect(tombstones.has('a0', 'a')).toBe(true)
    tombstones.expire(performance.now() + 1001)
    expect([tombstones.has('a0', 'a'), budget.bytes, tombstones.nextExpiry]).toEqual([false, 0, Infinity])
  })

  it('are as a list of all would be, from which the oldest of the client with most is dropped', () => {
    const anyClient = fc.constantFrom('a', 'b', 'c')
    const step = fc.option(anyClient, { nil: 'reclaim' as const })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { budget, tombstones } = newTombstones(8)
        let model: { id: string; client: string }[] = []
        for (const [i, each] of steps.entries()) {
          if (each === 'reclaim') tombstones.reclaim()
          else {
            model.push({ id: String(i), client: each })
            tombstones.add(String(i), 'o', each)
          }
          const before = model
          model = before.filter(({ id }) => tombstones.has(id, 'o'))
          const dropped = before.filter((one) => !model.includes(one))
          expect(dropped).toHaveLength(each === 'reclaim' ? Math.min(1, before.length) : Math.max(0, before.length - 8))
          for (const one of dropped) {
            expect(before.find(({ client }) => client === one.client)).toBe(one)
            const counts = ['a', 'b', 'c'].map((name) => before.filter(({ client }) => client === name).length)
            expect(before.filter(({ client }) => client === one.client)).toHaveLength(Math.max(...counts))
          }
          expect(budget.bytes).toBe(700 * model.length)
        }
      }),
    )
  })
})
