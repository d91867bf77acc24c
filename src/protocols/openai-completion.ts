import type { Chunk } from './openai-chunks.ts'

/** `chat.completion`: https://platform.openai.com/docs/api-reference/chat/object */
export interface Completion {
  object: 'chat.completion'
  choices: CompletionChoice[]
  [field: string]: unknown
}

interface CompletionChoice {
  index: number
  message: Record<string, unknown>
  finish_reason: string | null
  [field: string]: unknown
}

type Fields = Record<string, unknown>

export function newCompletion(): Completion {
  return { object: 'chat.completion', choices: [] }
}

/** Adds what a chunk says, as an SDK does that collects a stream. */
export function addChunk(completion: Completion, { object: _, choices, ...fields }: Chunk): void {
  Object.assign(completion, { ...fields, object: completion.object, choices: completion.choices })
  for (const { index, delta, finish_reason, ...rest } of choices) {
    const choice = (completion.choices[index] ??= newChoice(index))
    for (const [name, value] of Object.entries(delta)) addField(choice.message, name, value)
    for (const [name, value] of Object.entries(rest)) addField(choice, name, value)
    if (finish_reason !== null) choice.finish_reason = finish_reason
  }
}

function newChoice(index: number): CompletionChoice {
  return { index, message: { role: 'assistant', content: null, refusal: null }, logprobs: null, finish_reason: null }
}

function addField(target: Fields, name: string, value: unknown): void {
  if (name === 'role') return
  if (name === 'tool_calls' && Array.isArray(value)) {
    const calls = (target.tool_calls ??= [])
    if (Array.isArray(calls)) for (const call of value) addToolCall(calls, call)
    return
  }
  // The first piece of a text is what `content: ""` beside a role announces; an empty one alone says nothing.
  if (value === '' && name === 'content') return
  target[name] = join(target[name], value)
}

function addToolCall(calls: Fields[], { index, ...call }: Fields): void {
  const at = typeof index === 'number' ? index : calls.length
  calls[at] = asFields(join(calls[at], call))
}

/** Text, lists and objects grow; anything else is replaced. */
function join(before: unknown, more: unknown): unknown {
  if (typeof before === 'string' && typeof more === 'string') return before + more
  if (Array.isArray(before) && Array.isArray(more)) return [...before, ...more]
  if (isFields(before) && isFields(more)) {
    const joined = { ...before }
    for (const [name, value] of Object.entries(more)) joined[name] = join(joined[name], value)
    return joined
  }
  return more ?? before
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function asFields(value: unknown): Fields {
  return isFields(value) ? value : {}
}
