import { onTestFinished } from 'vitest'
import { MemoryLimitStore } from '../../src/access/memory-limit-store.ts'
import { Budget } from '../../src/store/budget.ts'
import { describeLimitStore } from './limit-store.ts'

describeLimitStore('the memory of the process', async () => {
  let now = 0
  const store = new MemoryLimitStore(new Budget(Infinity), { now: () => now })
  onTestFinished(() => store.close())
  return {
    store,
    async pass(milliseconds) {
      now += milliseconds
    },
  }
})
