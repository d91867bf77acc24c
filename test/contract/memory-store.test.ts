import { MemoryStore } from '../../src/stream/memory-store.ts'
import { describeStreamStore } from './stream-store.ts'

describeStreamStore('MemoryStore', (limits) => new MemoryStore(limits))
