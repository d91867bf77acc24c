import { MemoryBackplane } from '../../src/store/backplane/memory-backplane.ts'
import { describeBackplane } from './backplane.ts'

describeBackplane('the memory of a process', async (lifetimes) => {
  let passed = 0
  const backplane = new MemoryBackplane(lifetimes, { now: () => passed })
  return {
    backplane,
    other: backplane,
    async pass(milliseconds) {
      passed += milliseconds
    },
  }
})
