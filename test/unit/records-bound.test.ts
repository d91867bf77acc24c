import { expect, it, onTestFinished } from 'vitest'
import { Budget } from '../../src/store/budget.ts'
import { noBus } from '../../src/store/bus.ts'
import { MemoryDirectory } from '../../src/store/memory-directory.ts'
import { StreamStore } from '../../src/store/stream-store.ts'

const LIMIT = 200_000

function newStore() {
  const budget = new Budget(LIMIT, { timesFree: 3 })
  const limits = { retentionMs: 60_000, streamMaxBytes: LIMIT }
  const store = new StreamStore({ limits, budget, directory: new MemoryDirectory(limits, budget), bus: noBus })
  onTestFinished(() => store.close())
  const create = (client: string, key: string) =>
    store.create({ owner: client, client, model: 'm', provider: 'p', idempotency: { key, fingerprint: 'f' } })
  return { budget, store, create }
}

it('idempotency keys and tombstones stay within the memory that is allowed, however many streams a client ends', async () => {
  const { budget, create } = newStore()
  let most = 0
  for (let i = 0; i < 3000; i++) {
    const { log } = await create('greedy', `${i} ${'k'.repeat(200)}`)
    log.append({ type: 'done', finish_reason: 'stop' })
    most = Math.max(most, budget.bytes)
  }
  // The names of one stream are added to it without a question.
  expect(most).toBeLessThan(LIMIT + 2000)
  expect(budget.held('remembered')).toBeGreaterThan(10_000)
  expect((await create('modest', 'k')).joined).toBe(false)
})

it('idempotency keys of running streams count against their client, who leaves room for others', async () => {
  const { budget, create } = newStore()
  const fill = async () => {
    for (let i = 0; i < 3000; i++) await create('greedy', `${i} ${'k'.repeat(200)}`)
  }
  await expect(fill()).rejects.toMatchObject({ code: 'store_full' })
  expect(budget.bytesOf('greedy')).toBeLessThan(0.76 * LIMIT)
  expect((await create('modest', 'k')).joined).toBe(false)
})
