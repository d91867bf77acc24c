import type { Delta, ToolCallDelta } from './events.ts'
import type { StreamLog } from './stream-log.ts'

/** What a choice's deltas add up to. */
export interface Message {
  role: 'assistant'
  content: string | null
  reasoning?: string
  refusal?: string
  tool_calls?: ToolCall[]
  extra?: Record<string, unknown>
}

export interface ToolCall {
  id: string
  type: 'function'
  function: { name: string; arguments: string }
}

/** The message of one choice, as far as the log goes. */
export function collectMessage(log: StreamLog, choice = 0): Message {
  const message: Message = { role: 'assistant', content: null }
  for (let cursor = 0; cursor < log.last;) {
    const batch = log.read(cursor)
    if (!batch) break
    cursor = batch.last
    for (const { event } of batch.events)
      if (event.type === 'delta' && (event.index ?? 0) === choice) addDelta(message, event)
  }
  return message
}

function addDelta(message: Message, { content, reasoning, refusal, tool_calls, extra }: Delta): void {
  if (content !== undefined) message.content = (message.content ?? '') + content
  if (reasoning !== undefined) message.reasoning = (message.reasoning ?? '') + reasoning
  if (refusal !== undefined) message.refusal = (message.refusal ?? '') + refusal
  if (extra !== undefined) message.extra = { ...message.extra, ...extra }
  if (tool_calls === undefined) return
  message.tool_calls ??= []
  for (const call of tool_calls) addToolCall(message.tool_calls, call)
}

function addToolCall(calls: ToolCall[], { index, id, function: called }: ToolCallDelta): void {
  const call = (calls[index] ??= { id: '', type: 'function', function: { name: '', arguments: '' } })
  if (id !== undefined) call.id = id
  if (called?.name !== undefined) call.function.name = called.name
  if (called?.arguments !== undefined) call.function.arguments += called.arguments
}
