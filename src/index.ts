/** The package export `sluice`: a gateway to embed, and what it takes to write a provider for it. */
export { createGateway, type Gateway, type GatewayOptions } from './gateway.ts'
export { loadConfig, type Config } from './config.ts'
export { ConfigError, SluiceError, type ErrorCode, type Fault } from './errors.ts'
export type { Delta, Done, FinishReason, StreamError, StreamEvent, ToolCallDelta, Usage } from './stream/events.ts'
export type { Snapshot } from './protocols/native/native.ts'
export {
  defineProvider,
  ProviderError,
  type ChatRequest,
  type Provider,
  type ProviderContext,
} from '../providers/provider.ts'
