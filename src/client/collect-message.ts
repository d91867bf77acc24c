import type { Delta } from '../stream/events.ts'
import type { Message, ToolCall } from '../stream/message.ts'
import { MessageCollector } from '../wires/message-collector.ts'
import type { ChatEvent } from './chat-event.ts'

export type { Message, ToolCall }

/** What the deltas of the first choice add up to, as the gateway itself adds them up. */
export function collectMessage(events: Iterable<ChatEvent>): Message {
  const collector = new MessageCollector()
  for (const event of events) if (isFirstChoice(event)) collector.add(event)
  return collector.message
}

/** The text that an event adds to the first choice; empty when it adds none. */
export function textOf(event: ChatEvent): string {
  return (isFirstChoice(event) && event.content) || ''
}

function isFirstChoice(event: ChatEvent): event is Delta & { seq: number } {
  return event.type === 'delta' && !event.index
}
