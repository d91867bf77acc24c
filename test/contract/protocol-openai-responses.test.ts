import { describeProtocol } from './protocol-pairs.ts'
import { openaiResponses } from './protocol-responses-client.ts'

describeProtocol(openaiResponses)
