import { anthropicMessages } from './protocol-messages-client.ts'
import { describeProtocol } from './protocol-pairs.ts'

describeProtocol(anthropicMessages)
