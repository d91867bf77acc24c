import { describeProtocol } from './protocol-pairs.ts'
import { uiMessages } from './protocol-ui-client.ts'

describeProtocol(uiMessages)
