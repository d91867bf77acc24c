import { describeUseChat } from '../browser/use-chat-page.ts'
import newest from './newest-sdks/package.json' with { type: 'json' }

const versions = { '@ai-sdk/react': '4.0.177', ai: newest.dependencies.ai }
await describeUseChat('the page with useChat of AI SDK 7', versions)
