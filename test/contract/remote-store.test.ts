import { BusHub } from '../support/bus-hub.ts'
import { RemoteDirectory } from '../support/directories.ts'
import { describeStreamStore } from './stream-store.ts'

describeStreamStore('a directory elsewhere, and a bus', ({ retentionMs }) => {
  const directory = new RemoteDirectory(retentionMs)
  return { directory: () => directory, bus: new BusHub().connect() }
})
