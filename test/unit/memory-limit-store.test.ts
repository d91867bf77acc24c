import { expect, it, onTestFinished, vi } from 'vitest'
import { MemoryLimitStore } from '../../src/access/memory-limit-store.ts'
import { Budget } from '../../src/store/budget.ts'

const MINUTE = 60_000
const claim = (name: string, lastsMs = MINUTE) => ({ name, amount: 1, most: 10, lastsMs })

function newStore(limit = Infinity) {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const budget = new Budget(limit, { timesFree: 3 })
  const store = new MemoryLimitStore(budget)
  onTestFinished(() => store.close())
  return { budget, store }
}

it('charges counters to their account until they end, with one timer for all of them', async () => {
  const { budget, store } = newStore()
  await store.take([claim('a'), claim('b', 2 * MINUTE)], 'key')
  expect(budget.bytesOf('key')).toBeGreaterThan(600)
  expect(budget.held('records')).toBe(budget.bytesOf('key'))
  expect(vi.getTimerCount()).toBe(1)
  vi.advanceTimersByTime(MINUTE + 1000)
  expect(store.size).toBe(1)
  vi.advanceTimersByTime(MINUTE)
  expect(budget.bytes).toBe(0)
  expect(vi.getTimerCount()).toBe(0)
})

it('drops many counters that end at once in several turns', async () => {
  const { store } = newStore()
  for (let i = 0; i < 25; i++)
    await store.take(
      Array.from({ length: 100 }, (_, j) => claim(`${i} ${j}`)),
      'key',
    )
  expect(store.size).toBe(2500)
  vi.advanceTimersByTime(MINUTE + 1000)
  vi.runOnlyPendingTimers()
  vi.runOnlyPendingTimers()
  vi.runOnlyPendingTimers()
  expect(store.size).toBe(0)
})

it('refuses an account that would fill the memory with names, and leaves room for the others', async () => {
  const { budget, store } = newStore(100_000)
  let taken = 0
  const fill = async () => {
    for (; taken < 1000; taken++) await store.take([claim(`user ${taken}`)], 'greedy')
  }
  await expect(fill()).rejects.toMatchObject({ code: 'store_full' })
  expect(taken).toBeGreaterThan(50)
  expect(budget.bytes).toBeLessThanOrEqual(75_000)
  // What it has still counts.
  expect(await store.take([claim('user 0')], 'greedy')).toMatchObject({ ok: true, counters: [{ used: 2 }] })
  expect(await store.take([claim('another')], 'modest')).toMatchObject({ ok: true })
})

it('leaves no counter behind that is back at 0: users whose requests all fail would fill the memory for a month', async () => {
  const { budget, store } = newStore()
  await store.take([claim('gauge', Infinity), claim('month', 30 * 24 * 60 * MINUTE)], 'key')
  await store.giveBack([
    { name: 'gauge', amount: 1 },
    { name: 'month', amount: 1 },
  ])
  expect([store.size, budget.bytes]).toEqual([0, 0])
})

it('leaves nothing behind when it is closed', async () => {
  const { budget, store } = newStore()
  await store.take([claim('a'), claim('g', Infinity)], 'key')
  await store.close()
  expect(budget.bytes).toBe(0)
  expect(vi.getTimerCount()).toBe(0)
})
