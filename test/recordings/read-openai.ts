import { isRecord, type Fields } from '../../src/json.ts'
import { grow, replace } from './accumulate.ts'

/** What a Chat Completions stream adds up to, by the rules of the wire. */
export interface OpenAIAnswer {
  /** Fields of the chunks. */
  chunk: Fields
  choices: Record<string, OpenAIChoice>
  /** Top-level fields of the first chunk: openai-python reads them from nowhere else. */
  first: Fields
  error?: unknown
}

export interface OpenAIChoice {
  message: Fields
  calls: Record<string, Fields>
  /** Fields beside the delta. */
  choice: Fields
}

/** Random characters that hide the length of a chunk. */
export const PADDING: ReadonlySet<string> = new Set(['obfuscation', 'p'])

/** Fields of deltas and calls that are sent whole. */
const WHOLE = new Set(['role', 'id', 'type', 'name'])

export function accumulateChunks(chunks: readonly Fields[]): OpenAIAnswer {
  const answer: OpenAIAnswer = { chunk: {}, choices: {}, first: topLevel(chunks[0] ?? {}) }
  for (const chunk of chunks) {
    const { error, ...fields } = topLevel(chunk)
    replace(answer.chunk, fields)
    if (error !== undefined && error !== null) answer.error = error
    for (const choice of Array.isArray(chunk.choices) ? chunk.choices : [])
      if (isRecord(choice)) addChoice(answer, choice)
  }
  return answer
}

function topLevel(chunk: Fields): Fields {
  const fields: Fields = {}
  replace(fields, chunk)
  delete fields.choices
  for (const name of PADDING) delete fields[name]
  return fields
}

function addChoice({ choices }: OpenAIAnswer, { index, delta, logprobs, ...others }: Fields): void {
  const choice = (choices[typeof index === 'number' ? index : 0] ??= { message: {}, calls: {}, choice: {} })
  replace(choice.choice, others)
  const grown = grow(choice.choice.logprobs, logprobs)
  if (grown !== undefined) choice.choice.logprobs = grown
  const { tool_calls, ...fields } = isRecord(delta) ? delta : {}
  addPieces(choice.message, fields)
  for (const call of Array.isArray(tool_calls) ? tool_calls : []) if (isRecord(call)) addCall(choice.calls, call)
}

function addCall(calls: Record<string, Fields>, { index, function: called, ...fields }: Fields): void {
  const call = (calls[typeof index === 'number' ? index : Object.keys(calls).length] ??= {})
  addPieces(call, fields)
  if (!isRecord(called)) return
  const pieces = isRecord(call.function) ? { ...call.function } : {}
  addPieces(pieces, called)
  call.function = pieces
}

function addPieces(fields: Fields, more: Fields): void {
  for (const [name, value] of Object.entries(more)) {
    if (PADDING.has(name) || value === null || value === undefined) continue
    // An empty name or id in a later piece means that it was said before.
    if (WHOLE.has(name)) fields[name] = value === '' ? (fields[name] ?? value) : value
    else if (name === 'content') fields[name] = growContent(fields[name], value)
    else fields[name] = grow(fields[name], value)
  }
}

/** Content is text, or a list of parts whose text continues in parts of the same type. */
function growContent(before: unknown, more: unknown): unknown {
  if (before === undefined || (typeof before === 'string' && typeof more === 'string')) {
    return Array.isArray(more) ? joinParts(more) : grow(before, more)
  }
  return joinParts([...toParts(before), ...toParts(more)])
}

function toParts(content: unknown): unknown[] {
  if (Array.isArray(content)) return content
  return content === '' ? [] : [{ type: 'text', text: content }]
}

function joinParts(parts: readonly unknown[]): unknown[] {
  const joined: unknown[] = []
  for (const part of parts) {
    const last = joined.at(-1)
    if (isRecord(part) && isRecord(last) && part.type === last.type && typeof part.type === 'string') {
      const { type, ...pieces } = part
      const { type: _, ...before } = last
      joined[joined.length - 1] = { type, ...(grow(before, joinThoughts(pieces)) as Fields) }
      joinLastThoughts(joined)
    } else joined.push(isRecord(part) ? joinThoughts(part) : part)
  }
  return joined
}

/** Mistral's thoughts are themselves lists of parts. */
function joinThoughts(part: Fields): Fields {
  return Array.isArray(part.thinking) ? { ...part, thinking: joinParts(part.thinking) } : part
}

function joinLastThoughts(parts: unknown[]): void {
  const last = parts.at(-1)
  if (isRecord(last)) parts[parts.length - 1] = joinThoughts(last)
}
