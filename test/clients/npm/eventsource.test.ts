import { read } from './clients/eventsource.ts'
import { readerContract } from './contract.ts'
import { inNode } from './in-node.ts'

readerContract({ name: 'eventsource', posts: false, askedAfterEnd: [['2', 204]], ...inNode(read) })
