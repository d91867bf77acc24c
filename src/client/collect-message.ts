import type { Delta } from '../stream/events.ts'
import type { Message, ToolCall } from '../stream/message.ts'
import { TEXT_FIELDS, type ChatEvent } from './chat-event.ts'

export type { Message, ToolCall }

/** What the deltas of the first choice add up to, as the gateway itself adds them up. */
export function collectMessage(events: Iterable<ChatEvent>): Message {
  const message: Message = { role: 'assistant', content: null }
  // Names and indexes can be anything: they must not set a prototype or make a huge list.
  const extra: [string, unknown][] = []
  const calls: Record<number, ToolCall> = {}
  for (const event of events) {
    if (!isFirstChoice(event)) continue
    for (const name of TEXT_FIELDS) {
      const text = event[name]
      if (text !== undefined) message[name] = (message[name] ?? '') + text
    }
    for (const field of Object.entries(event.extra ?? {})) extra.push(field)
    for (const { index, id, function: called } of event.tool_calls ?? []) {
      const call = (calls[index] ??= { id: '', type: 'function', function: { name: '', arguments: '' } })
      call.id = id ?? call.id
      call.function.name = called?.name ?? call.function.name
      call.function.arguments += called?.arguments ?? ''
    }
  }
  if (extra[0]) message.extra = Object.fromEntries(extra)
  // In order of index: objects iterate integer keys in ascending order.
  const list = Object.values(calls)
  if (list[0]) message.tool_calls = list
  return message
}

/** The text that an event adds to the first choice; empty when it adds none. */
export function textOf(event: ChatEvent): string {
  return (isFirstChoice(event) && event.content) || ''
}

function isFirstChoice(event: ChatEvent): event is Delta & { seq: number } {
  return event.type === 'delta' && !event.index
}
