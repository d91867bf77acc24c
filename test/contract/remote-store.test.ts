import { describeWith } from '../support/programs.ts'
import { shareMemory, shareRedis } from '../support/nodes.ts'
import { RemoteDirectory } from '../support/directories.ts'
import { describeStreamStore } from './stream-store.ts'

describeStreamStore('a directory elsewhere', ({ retentionMs }) => {
  const directory = new RemoteDirectory(retentionMs)
  return { directory: () => directory }
})

describeStreamStore('a backplane in memory', async (settings) => ({
  backplane: await shareMemory(settings).connect(),
}))

describeWith('redis', 'Redis', () => {
  describeStreamStore('Redis', async (settings) => ({ backplane: await shareRedis(settings).connect() }))
})
