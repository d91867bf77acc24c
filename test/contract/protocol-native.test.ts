import { native } from './protocol-chat-clients.ts'
import { describeProtocol } from './protocol-pairs.ts'

describeProtocol(native)
