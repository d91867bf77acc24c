import { read } from './clients/undici.ts'
import { readerContract } from './contract.ts'
import { inNode } from './in-node.ts'

readerContract({ name: 'undici', posts: false, askedAfterEnd: [['2', 204]], ...inNode(read) })
