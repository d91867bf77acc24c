import { describe, expect, it } from 'vitest'
import { SluiceError } from '../../src/errors.ts'
import { retryDelay } from '../../src/routing/next-step.ts'
import { KeyRing, drawOrder } from '../../src/routing/target.ts'

/** Numbers in [0, 1) that look random and are the same each time. */
function seeded(): () => number {
  let state = 1
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647
}

function count<T>(draw: () => T): Map<T, number> {
  const counts = new Map<T, number>()
  for (let i = 0; i < 10_000; i++) {
    const drawn = draw()
    counts.set(drawn, (counts.get(drawn) ?? 0) + 1)
  }
  return counts
}

describe('an order drawn by weight', () => {
  const [heavy, light] = [
    { name: 'heavy', weight: 3 },
    { name: 'light', weight: 1 },
  ]

  it('has each item once', () => {
    const items = Array.from({ length: 20 }, (_, weight) => ({ weight: weight + 1 }))
    const drawn = drawOrder(items, Math.random)
    expect(drawn).toHaveLength(20)
    expect(new Set(drawn)).toEqual(new Set(items))
  })

  it('begins with each as often as its weight says', () => {
    const random = seeded()
    const firsts = count(() => drawOrder([light, heavy], random)[0])
    expect(firsts.get(heavy)! / 10_000).toBeCloseTo(0.75, 1)
  })

  it('stands whatever the random numbers are', () => {
    expect(drawOrder([heavy, light], () => 0)).toEqual([heavy, light])
    expect(drawOrder([heavy, light], () => 1 - Number.EPSILON)).toHaveLength(2)
  })
})

describe('keys', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((key, index) => ({ key, weight: index + 1 })) as [Key, Key, Key]
  type Key = { key: string; weight: number }

  it('are none when there are none', () => {
    expect(new KeyRing(Math.random).draw([])).toBeUndefined()
  })

  it('are drawn by weight', () => {
    const ring = new KeyRing(seeded())
    const drawn = count(() => ring.draw([a, b, c]))
    expect(drawn.get(a)! / 10_000).toBeCloseTo(1 / 6, 1)
    expect(drawn.get(c)! / 10_000).toBeCloseTo(1 / 2, 1)
  })

  it('are not drawn again once they have been refused, while there are others', () => {
    const ring = new KeyRing(seeded())
    ring.refuse(a)
    ring.refuse(c)
    expect([...count(() => ring.draw([a, b, c])).keys()]).toEqual([b])
    expect(ring.hasFresh([a, b, c])).toBe(true)
  })

  it('are drawn from all again when all have been refused', () => {
    const ring = new KeyRing(seeded())
    for (const key of [a, b]) ring.refuse(key)
    expect(ring.hasFresh([a, b])).toBe(false)
    expect(count(() => ring.draw([a, b])).size).toBe(2)
  })
})

describe('the wait before a retry', () => {
  const error = (options: { retryable?: boolean; retryAfter?: number } = {}) =>
    new SluiceError('upstream_unavailable', 'busy', options)
  const most = () => 1

  it('doubles from a quarter of a second up to eight seconds', () => {
    const waits = Array.from({ length: 8 }, (_, retry) => retryDelay(retry, error(), most))
    expect(waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 8000, 8000])
  })

  it('is any part of that', () => {
    expect(retryDelay(3, error(), () => 0)).toBe(0)
    expect(retryDelay(3, error(), () => 0.25)).toBe(500)
  })

  it('is never shorter than what the upstream asks for', () => {
    expect(retryDelay(0, error({ retryAfter: 3 }), () => 0)).toBe(3000)
    expect(retryDelay(0, error({ retryAfter: 3 }), most)).toBe(3250)
    expect(retryDelay(0, error({ retryAfter: 10 }), () => 0)).toBe(10_000)
  })

  it('is none when the upstream asks for more than ten seconds', () => {
    expect(retryDelay(0, error({ retryAfter: 10.1 }), most)).toBeUndefined()
  })

  it('is none when a retry makes no sense', () => {
    expect(retryDelay(0, error({ retryable: false }), most)).toBeUndefined()
  })
})
