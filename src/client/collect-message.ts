import type { Delta, Message, ToolCall } from '../stream/events.ts'
import { MessageCollector } from '../wires/message-collector.ts'
import type { ChatEvent } from './chat-event.ts'

export type { Message, ToolCall }

/** Accumulates the deltas of the first choice, as the gateway does. */
export function collectMessage(events: Iterable<ChatEvent>): Message {
  const collector = new MessageCollector()
  for (const event of events) if (isFirstChoice(event)) collector.add(event)
  return collector.message
}

/** The text that an event adds to the first choice; empty when there is none. */
export function textOf(event: ChatEvent): string {
  return (isFirstChoice(event) && event.content) || ''
}

function isFirstChoice(event: ChatEvent): event is Delta & { seq: number } {
  return event.type === 'delta' && !event.index
}
