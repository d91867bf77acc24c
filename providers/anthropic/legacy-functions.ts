// Functions as Chat Completions had them before tools: one call per answer, and results that name the function alone.

import type { ChatMessage, ChatRequest } from '../../src/chat-request.ts'
import { isRecord, type Fields } from '../../src/json.ts'

/** Messages with calls and results of functions as those of tools. A result belongs to the last call of its name. */
export function toToolMessages(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  if (!messages.some(({ role, function_call }) => role === 'function' || function_call !== undefined)) return messages
  const open = new Map<unknown, string>()
  return messages.map((message, i) => {
    const { function_call: called, name, ...rest } = message
    if (message.role === 'function') {
      const id = open.get(name)
      open.delete(name)
      return id === undefined ? message : { ...rest, role: 'tool', tool_call_id: id, content: message.content ?? '' }
    }
    if (!isRecord(called) || typeof called.name !== 'string' || typeof called.arguments !== 'string') return message
    const id = `call_${i}`
    open.set(called.name, id)
    const call = { id, type: 'function', function: { name: called.name, arguments: called.arguments } }
    return { ...rest, ...(name !== undefined && { name }), tool_calls: [...(message.tool_calls ?? []), call] }
  })
}

type Tool = NonNullable<ChatRequest['tools']>[number]

/** The tools of a request; undefined when its functions are not understood. */
export function toTools({ tools, functions = [] }: ChatRequest): Tool[] | undefined {
  if (!Array.isArray(functions) || !functions.every(isFunction)) return undefined
  return [...(tools ?? []), ...functions.map((described) => ({ type: 'function', function: described }))]
}

function isFunction(value: unknown): value is NonNullable<Tool['function']> {
  if (!isRecord(value) || typeof value.name !== 'string') return false
  const { description = '', parameters = {} } = value
  return typeof description === 'string' && isRecord(parameters)
}

/** The choice of a function as the choice of a tool. */
export function toToolChoice(function_call: unknown): ChatRequest['tool_choice'] {
  if (typeof function_call === 'string') return function_call
  const name: unknown = isRecord(function_call) ? function_call.name : undefined
  return typeof name === 'string' ? { type: 'function', function: { name } } : undefined
}

export function hasFunctions({ functions }: Fields): boolean {
  return Array.isArray(functions) && functions.length > 0
}
