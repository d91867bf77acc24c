import { describe, expect, it } from 'vitest'
import { RecentEncodings, type Kept } from '../../src/protocols/shared-frames.ts'

describe('recent encodings', () => {
  it('are found by log and cursor, and evicted least recently used first', () => {
    const recent = new RecentEncodings<Kept>(30)
    const [ada, bob] = [new Map<number, Kept>(), new Map<number, Kept>()]
    const encodings = [1, 2, 3, 4].map((from) => ({ from, bytes: 10 }))
    const [first, second, third, fourth] = encodings
    recent.keep(first!, ada)
    recent.keep(second!, bob)
    recent.keep(third!, ada)
    expect(recent.find(1, ada)).toBe(first)
    recent.keep(fourth!, bob)
    expect(recent.find(2, bob)).toBeUndefined()
    expect([recent.find(1, ada), recent.find(3, ada), recent.find(4, bob)]).toEqual([first, third, fourth])
    expect([ada.size, bob.size, recent.bytes]).toEqual([2, 1, 30])
  })

  it('keep one larger than the limit alone, until the next', () => {
    const recent = new RecentEncodings<Kept>(30)
    const home = new Map<number, Kept>()
    recent.keep({ from: 0, bytes: 10 }, home)
    recent.keep({ from: 1, bytes: 31 }, home)
    expect([[...home.keys()], recent.bytes]).toEqual([[1], 31])
    recent.keep({ from: 2, bytes: 10 }, home)
    expect([[...home.keys()], recent.bytes]).toEqual([[2], 10])
  })
})
