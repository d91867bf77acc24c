import { describeStreamStore } from './stream-store.ts'

describeStreamStore('the memory of the process', () => ({}))
