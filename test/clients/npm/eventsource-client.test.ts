import { read } from './clients/eventsource-client.ts'
import { readerContract } from './contract.ts'
import { inNode } from './in-node.ts'

readerContract({ name: 'eventsource-client', posts: true, askedAfterEnd: [['2', 204]], ...inNode(read) })
