/** Server-Sent Events for any Koa app and any client: the package export `sluice/sse`. */
export { encodeComment, encodeEvent, encodeJson, type EventFields } from './encode.ts'
export { EventDecoder, EventTooLargeError, type DecodedEvent, type DecoderOptions } from './decode.ts'
export {
  eventStream,
  type EventStreamContext,
  type EventStreamEnd,
  type EventStreamOptions,
  type Source,
  type SourceEvent,
  type SourceFunction,
} from './event-stream.ts'
