// `sluice/client/message`: how events add up to a message, by the rules of the gateway's snapshots and whole answers. A
// quarter of the client, of which `ChatStream.final` alone has need: it loads this module when it is called.

import type { Delta, Message } from '../stream/events.ts'
import { MessageCollector } from '../wires/message-collector.ts'
import type { ChatEvent } from './chat-event.ts'

export type { ChatEvent, Message }
export type { CustomCall, FunctionCall, ToolCall } from '../stream/events.ts'

/** The message of the first choice. With the first events of a stream, as far as it has come. */
export function collectMessage(events: Iterable<ChatEvent | Delta>): Message {
  const collector = new MessageCollector()
  for (const event of events) if (event.type === 'delta' && !event.index) collector.add(event)
  return collector.message
}
