/** The client SDK, `sluice/client`: streams that survive network failures, in browsers, workers, Node and similar. */
export type { Activity, ActivityListener } from './activity.ts'
export type { ChatEvent } from './chat-event.ts'
export type { ChatStream, FinalChat } from './chat-stream.ts'
export { SluiceClientError, type Fault } from './client-error.ts'
export {
  createClient,
  type AttachOptions,
  type ChatBody,
  type ChatMessage,
  type ChatOptions,
  type Client,
  type ClientOptions,
  type StreamOptions,
} from './create-client.ts'
export type {
  CustomCall,
  Delta,
  Done,
  FinishReason,
  FunctionCall,
  Message,
  StreamEvent,
  ToolCall,
  ToolCallDelta,
  Usage,
} from '../stream/events.ts'
