import type { Delta, ToolCallDelta } from './events.ts'
import type { Message, ToolCall } from './message.ts'
import type { StreamLog } from './stream-log.ts'

/** The message of one choice, as far as the log goes. */
export function collectMessage(log: StreamLog, choice = 0): Message {
  const message: Message = { role: 'assistant', content: null }
  // By index, which is the provider's to choose: a list would be as long as the largest.
  const calls = new Map<number, ToolCall>()
  for (let batch = log.read(0); batch; batch = log.read(batch.last))
    for (const { event } of batch.events)
      if (event.type === 'delta' && (event.index ?? 0) === choice) addDelta(message, calls, event)
  if (calls.size > 0) message.tool_calls = [...calls].toSorted(([a], [b]) => a - b).map(([, call]) => call)
  return message
}

function addDelta(message: Message, calls: Map<number, ToolCall>, delta: Delta): void {
  const { content, reasoning, refusal, tool_calls = [], extra } = delta
  if (content !== undefined) message.content = (message.content ?? '') + content
  if (reasoning !== undefined) message.reasoning = (message.reasoning ?? '') + reasoning
  if (refusal !== undefined) message.refusal = (message.refusal ?? '') + refusal
  if (extra !== undefined) message.extra = { ...message.extra, ...extra }
  for (const call of tool_calls) addToolCall(calls, call)
}

function addToolCall(calls: Map<number, ToolCall>, { index, id, function: called, extra }: ToolCallDelta): void {
  const call = calls.get(index) ?? { id: '', type: 'function', function: { name: '', arguments: '' } }
  calls.set(index, call)
  if (id !== undefined) call.id = id
  if (called?.name !== undefined) call.function.name = called.name
  if (called?.arguments !== undefined) call.function.arguments += called.arguments
  if (extra !== undefined) call.extra = { ...call.extra, ...extra }
}
