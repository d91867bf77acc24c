import fc from 'fast-check'
import { expect, it } from 'vitest'
import { SmoothedDelay } from '../../src/telemetry/smoothed-delay.ts'

/** Turns of the event loop in which a timer of 50 ms was so late. */
function after(delays: readonly number[]): number {
  const smoothed = new SmoothedDelay()
  for (const delay of delays) smoothed.observe(delay, 50 + delay)
  return smoothed.mean
}

const idle = (turns: number) => Array.from({ length: turns }, () => 0)

it('hardly moves with one long pause', () => {
  expect(after([...idle(20), 2000])).toBeLessThan(500)
  expect(after([...idle(20), 500, ...idle(2)])).toBeLessThan(100)
})

it('follows a delay that lasts', () => {
  expect(after(Array.from({ length: 5 }, () => 1000))).toBeGreaterThan(500)
  expect(after(Array.from({ length: 100 }, () => 600))).toBeCloseTo(600, 0)
})

it('forgets in a second or two', () => {
  expect(after([...Array.from({ length: 50 }, () => 1000), ...idle(40)])).toBeLessThan(150)
})

it('lies between the smallest and the largest delay', () => {
  const delay = fc.double({ min: 0, max: 1e5, noNaN: true })
  fc.assert(
    fc.property(fc.array(delay, { minLength: 1 }), (delays) => {
      expect(after(delays)).toBeGreaterThanOrEqual(0)
      expect(after(delays)).toBeLessThanOrEqual(Math.max(...delays))
    }),
  )
})
