import type { Delta, ToolCallDelta } from '../stream/events.ts'
import type { Message, ToolCall } from '../stream/message.ts'
import { TEXT_FIELDS, type ChatEvent } from './chat-event.ts'

export type { Message, ToolCall }

/** What the deltas of the first choice add up to, as the gateway itself adds them up. */
export function collectMessage(events: Iterable<ChatEvent>): Message {
  const message: Message = { role: 'assistant', content: null }
  for (const event of events) if (isFirstChoice(event)) addDelta(message, event)
  return message
}

/** The text that an event adds to the first choice; empty when it adds none. */
export function textOf(event: ChatEvent): string {
  return (isFirstChoice(event) && event.content) || ''
}

function isFirstChoice(event: ChatEvent): event is Delta & { seq: number } {
  return event.type === 'delta' && !event.index
}

function addDelta(message: Message, delta: Delta): void {
  for (const name of TEXT_FIELDS) {
    const text = delta[name]
    if (text !== undefined) message[name] = (message[name] ?? '') + text
  }
  if (delta.extra) message.extra = { ...message.extra, ...delta.extra }
  for (const call of delta.tool_calls ?? []) addToolCall((message.tool_calls ??= []), call)
}

function addToolCall(calls: ToolCall[], { index, id, function: called }: ToolCallDelta): void {
  const call = (calls[index] ??= { id: '', type: 'function', function: { name: '', arguments: '' } })
  call.id = id ?? call.id
  call.function.name = called?.name ?? call.function.name
  call.function.arguments += called?.arguments ?? ''
}
