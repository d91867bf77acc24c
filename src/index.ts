/** The package export `sluice`: an embeddable gateway, and the types and functions for writing a provider. */
import type { Config } from './config.ts'
import { createGateway as create, type Gateway as WholeGateway, type GatewayOptions as AllOptions } from './gateway.ts'

/** A gateway in this process; its internal parts are not public API. */
export type Gateway = Pick<WholeGateway, 'app' | 'start' | 'adminUrl' | 'reload' | 'drain'>
export type GatewayOptions = Pick<AllOptions, 'logger' | 'providers'>

/** @throws Error when a provider or a certificate cannot be loaded */
export const createGateway: (config: Config, options?: GatewayOptions) => Promise<Gateway> = create
export { loadConfig, type Config } from './config.ts'
export { ConfigError, SluiceError, type ErrorCode } from './errors.ts'
export type { Fault } from './faults.ts'
export type { Delta, Done, FinishReason, StreamError, StreamEvent, ToolCallDelta, Usage } from './stream/events.ts'
export type { Snapshot } from './protocols/native/native.ts'
export {
  defineProvider,
  ProviderError,
  type AttemptContext,
  type ChatRequest,
  type ForwardRequest,
  type ForwardResponse,
  type ListContext,
  type Provider,
  type ProviderContext,
  type TokenCount,
} from '../providers/provider.ts'
