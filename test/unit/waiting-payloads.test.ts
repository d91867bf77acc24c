import { expect, it } from 'vitest'
import { holdWaiting } from '../../src/http/waiting-payloads.ts'
import { Payload } from '../../src/sse/response-body.ts'
import { Budget } from '../../src/store/budget.ts'

it('a large payload in full sockets is counted once, until the last has drained, and refused without room', () => {
  const budget = new Budget(1_500_000)
  const payload = new Payload('x'.repeat(1_000_000))
  const ends = [payload, payload.tail(10), payload].map((each) => holdWaiting(each, budget, 'ada'))
  expect(budget.held('readers')).toBe(1_000_000)
  expect(holdWaiting(new Payload('x'.repeat(1_000_000)), budget, 'ada')).toBeUndefined()
  for (const end of ends) {
    expect(budget.held('readers')).toBe(1_000_000)
    end?.()
  }
  expect(budget.bytes).toBe(0)
})

it('a small payload is part of its reader', () => {
  const budget = new Budget(1000)
  holdWaiting(new Payload('x'.repeat(20_000)), budget, 'ada')?.()
  expect(budget.bytes).toBe(0)
})
