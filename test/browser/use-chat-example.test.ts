import { describeUseChat } from './use-chat-page.ts'

await describeUseChat('the page with useChat')
