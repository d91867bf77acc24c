import { describeClient } from './contract.ts'
import { describeIn } from './languages.ts'

describeIn('go', () => {
  describeClient('go', { name: 'r3labs/sse', protocol: 'native', resumesAt: 'cursor' })
  describeClient('go', { name: 'go-sse', protocol: 'native', resumesAt: 'cursor' })
  describeClient('go', { name: 'openai-go', protocol: 'openai-chat', resumesAt: 'beginning' })
})
