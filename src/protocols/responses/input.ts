// The input items of a request, converted to chat messages.

import { z } from 'zod'
import { boundedArray } from '../../bounded-schema.ts'
import type { ChatMessage, ContentPart } from '../../chat-request.ts'
import { isRecord, parseJson, recordOrEmpty, withoutNulls, type Fields } from '../../json.ts'
import { readThoughtSignature } from '../../wires/thought-signature.ts'
import { joinParts, toAnswer, type Piece, type ToolCall } from '../anthropic/turns.ts'
import { toThought } from './encrypted.ts'

/** A converted item: a message, a piece of an answer, or one that no upstream could read. */
type Item =
  | { kind: 'message'; message: ChatMessage }
  | { kind: 'pieces'; pieces: Piece[] }
  | { kind: 'dropped'; type: string }

function fields<T extends z.ZodRawShape>(shape: T) {
  return z.preprocess(withoutNulls, z.looseObject(shape))
}

const part = fields({ type: z.string() }).transform((value, context): ContentPart => {
  const { type } = value
  switch (type) {
    case 'input_text':
    case 'output_text':
    case 'summary_text':
    case 'reasoning_text':
    case 'text':
      return { type: 'text', text: read(z.string(), value, 'text', context) }
    case 'refusal':
      return { type: 'text', text: read(z.string(), value, 'refusal', context) }
    case 'input_image': {
      const { detail, file_id } = value
      if (typeof file_id === 'string' && value.image_url === undefined) return toFile({ file_id })
      const url = read(z.string(), value, 'image_url', context)
      return { type: 'image_url', image_url: { url, ...(typeof detail === 'string' && { detail }) } }
    }
    case 'input_file': {
      const { type: _, file_url, ...file } = value
      // Chat Completions has no form for the address of a document; Anthropic's Messages API has.
      if (typeof file_url === 'string') return { type: 'document', source: { type: 'url', url: file_url } }
      return toFile(file)
    }
    case 'input_audio':
      return { type, input_audio: value.input_audio }
    default:
      context.addIssue({ code: 'custom', path: ['type'], message: `${JSON.stringify(type)} is not known` })
      return z.NEVER
  }
})

function toFile(file: Fields): ContentPart {
  return { type: 'file', file }
}

function read<T>(schema: z.ZodType<T>, value: Fields, name: string, context: z.RefinementCtx): T {
  const parsed = schema.safeParse(value[name])
  if (parsed.success) return parsed.data
  for (const { path, message } of parsed.error.issues)
    context.addIssue({ code: 'custom', path: [name, ...path], message })
  return z.NEVER
}

/** A string is short for one text. */
const content = z.preprocess(
  (value) => (typeof value === 'string' ? [{ type: 'input_text', text: value }] : value),
  boundedArray(part, 'expected a string or an array of parts'),
)

const message = fields({ role: z.enum(['user', 'assistant', 'system', 'developer']), content }).transform(
  ({ role, content: parts }): Item =>
    role === 'assistant'
      ? { kind: 'pieces', pieces: parts.map((each) => ({ kind: 'part', part: each, block: each })) }
      : { kind: 'message', message: { role, content: joinParts(parts) } },
)

const functionCall = fields({ call_id: z.string(), name: z.string(), arguments: z.string() }).transform(
  ({ call_id, name, arguments: json }): Item =>
    toCall(call_id, { name }, (id) => ({ id, type: 'function', function: { name, arguments: json } }), inputOf(json)),
)

const customCall = fields({ call_id: z.string(), name: z.string(), input: z.string() }).transform(
  ({ call_id, name, input }): Item =>
    toCall(call_id, { name }, (id) => ({ id, type: 'custom', custom: { name, input } }), { input }),
)

function toCall(callId: string, { name }: { name: string }, call: (id: string) => ToolCall, input: Fields): Item {
  const { id, signature } = readThoughtSignature(callId)
  const signed = signature !== undefined && { extra_content: { google: { thought_signature: signature } } }
  const block = { type: 'tool_use', id, name, input }
  return { kind: 'pieces', pieces: [{ kind: 'call', call: Object.assign(call(id), signed), block }] }
}

function inputOf(json: string): Fields {
  try {
    return recordOrEmpty(parseJson(json))
  } catch {
    return {}
  }
}

const output = fields({ call_id: z.string(), output: content }).transform(({ call_id, output: parts }): Item => ({
  kind: 'message',
  message: { role: 'tool', tool_call_id: readThoughtSignature(call_id).id, content: joinParts(parts) },
}))

const texts = boundedArray(fields({ text: z.string() }))

const reasoning = fields({
  summary: texts.optional(),
  content: texts.optional(),
  encrypted_content: z.string().optional(),
}).transform(({ summary = [], content: thoughts = [], encrypted_content }): Item => {
  const words = (thoughts.length > 0 ? thoughts : summary).map(({ text }) => text).join('\n\n')
  const block = toThought(encrypted_content, words)
  return { kind: 'pieces', pieces: block ? [{ kind: 'thoughts', block }] : [] }
})

const ITEMS: ReadonlyMap<string, z.ZodType<Item>> = new Map(
  Object.entries({
    message,
    function_call: functionCall,
    function_call_output: output,
    custom_tool_call: customCall,
    custom_tool_call_output: output,
    reasoning,
  }),
)

/** An item: https://platform.openai.com/docs/api-reference/responses/create (`input`) */
const item = z.looseObject({ type: z.string().nullish() }).transform((value, context): Item => {
  const type = value.type ?? 'message'
  const schema = ITEMS.get(type)
  if (!schema) return { kind: 'dropped', type }
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  for (const { path, message: words } of parsed.error.issues) context.addIssue({ code: 'custom', path, message: words })
  return z.NEVER
})

export const itemsSchema = boundedArray(item)

/** The messages of items, and the types of the items that are left out: those of OpenAI's own tools. */
export function toMessages(items: readonly Item[]): { messages: ChatMessage[]; dropped: string[] } {
  const messages: ChatMessage[] = []
  const dropped = new Set<string>()
  let pieces: Piece[] = []
  const flush = () => {
    // Thoughts that led to nothing are no answer.
    if (pieces.some(({ kind }) => kind !== 'thoughts')) messages.push(toAnswer(pieces))
    pieces = []
  }
  for (const each of items) {
    switch (each.kind) {
      case 'pieces':
        pieces.push(...each.pieces)
        break
      case 'message':
        flush()
        messages.push(each.message)
        break
      case 'dropped':
        dropped.add(each.type)
    }
  }
  flush()
  return { messages, dropped: [...dropped] }
}

/** The items of an input as they were sent: a string is short for one message. */
export function toRawItems(input: unknown): unknown[] | undefined {
  if (typeof input === 'string') return [{ type: 'message', role: 'user', content: input }]
  return Array.isArray(input) ? input : undefined
}

/** The id of an `item_reference`, whose type may be left out. */
export function referenceOf(value: unknown): string | undefined {
  if (!isRecord(value) || typeof value.id !== 'string') return undefined
  return value.type === 'item_reference' || Object.keys(value).length === 1 ? value.id : undefined
}
