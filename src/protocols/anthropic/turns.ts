// The conversation of a request: its turns and their content blocks, converted to chat messages.

import { z } from 'zod'
import { boundedArray, boundedRecord } from '../../bounded-schema.ts'
import type { ChatMessage, ContentPart } from '../../chat-request.ts'
import { MAX_FAULTS } from '../../faults.ts'
import { withoutNulls, type Fields } from '../../json.ts'
import { isSignedThought } from '../../wires/thoughts.ts'
import { readThoughtSignature } from '../../wires/thought-signature.ts'

export type ToolCall = NonNullable<ChatMessage['tool_calls']>[number]

/** A content block, as it is and converted for a chat request. */
export type Piece = { block: Fields } & (
  | { kind: 'thoughts' }
  | { kind: 'part'; part: ContentPart }
  | { kind: 'call'; call: ToolCall }
  | { kind: 'result'; message: ChatMessage }
)

/** Fields that locate the data, for each type of source. */
const SOURCES: ReadonlyMap<string, readonly ('media_type' | 'data' | 'url' | 'file_id')[]> = new Map([
  ['base64', ['media_type', 'data']],
  ['url', ['url']],
  ['file', ['file_id']],
])

const source = z
  .preprocess(
    withoutNulls,
    z.looseObject({
      type: z.string(),
      media_type: z.string().optional(),
      data: z.string().optional(),
      url: z.string().optional(),
      file_id: z.string().optional(),
    }),
  )
  .superRefine((value, context) => {
    for (const field of SOURCES.get(value.type) ?? [])
      if (value[field] === undefined) context.addIssue({ code: 'custom', path: [field], message: 'is required' })
  })

const text = z.looseObject({ type: z.string(), text: z.string() })

/** Images from the Files API have no OpenAI equivalent and stay unchanged. */
const image = z.looseObject({ type: z.string(), source }).transform((block): ContentPart => {
  const { type: _, source: from, ...rest } = block
  if (from.type === 'url' && from.url !== undefined) return { ...rest, type: 'image_url', image_url: { url: from.url } }
  if (from.type === 'base64') return { ...rest, type: 'image_url', image_url: { url: toDataUrl(from) } }
  return block
})

const document = z.looseObject({ type: z.string(), source }).transform((block): ContentPart => {
  const { type: _, source: from, title, ...rest } = block
  const isPdf = from.type === 'base64' && from.media_type === 'application/pdf'
  if (!isPdf && from.type !== 'file') return block
  const content = isPdf ? { file_data: toDataUrl(from) } : { file_id: from.file_id }
  if (typeof title === 'string') return { ...rest, type: 'file', file: { ...content, filename: title } }
  return { ...rest, type: 'file', file: content, ...(title !== undefined && { title }) }
})

function toDataUrl({ media_type = '', data = '' }: z.infer<typeof source>): string {
  return `data:${media_type};base64,${data}`
}

const PARTS: ReadonlyMap<string, z.ZodType<ContentPart>> = new Map(Object.entries({ text, image, document }))

/** SDKs print the optional fields of an answer's blocks as null: `citations`, `caller`. */
const block = z.preprocess(withoutNulls, z.looseObject({ type: z.string() }))

function readPart(value: z.infer<typeof block>, context: z.RefinementCtx): ContentPart {
  return read(PARTS.get(value.type) ?? block, value, context)
}

/** A block that becomes one part. Unknown types (`search_result`, …) stay unchanged. */
const partSchema = block.transform(readPart)

/** Content: a list of blocks, or a string, which is short for one text block. */
export function contentOf<T extends z.ZodType>(blockSchema: T) {
  return z.preprocess(
    (content) => (typeof content === 'string' ? [{ type: 'text', text: content }] : content),
    boundedArray(blockSchema, 'expected a string or an array of blocks'),
  )
}

const toolUse = z
  .looseObject({ type: z.string(), id: z.string(), name: z.string(), input: boundedRecord(z.unknown()) })
  .transform(({ type: _, id: given, name, input, ...rest }): ToolCall => {
    const { id, signature } = readThoughtSignature(given)
    return {
      ...rest,
      id,
      type: 'function',
      function: { name, arguments: JSON.stringify(input) },
      ...(signature !== undefined && { extra_content: { google: { thought_signature: signature } } }),
    }
  })

const toolResult = z
  .looseObject({ type: z.string(), tool_use_id: z.string(), content: contentOf(partSchema).optional() })
  .transform(({ type: _, tool_use_id, content = [], ...rest }): ChatMessage => ({
    ...rest,
    role: 'tool',
    tool_call_id: readThoughtSignature(tool_use_id).id,
    content: joinParts(content),
  }))

const thinking = z.looseObject({ type: z.string(), thinking: z.string(), signature: z.string().optional() })
const redactedThinking = z.looseObject({ type: z.string(), data: z.string() })

/** A block of a message: https://platform.claude.com/docs/en/api/messages (`messages.content`) */
const pieceSchema = block.transform((value, context): Piece => {
  switch (value.type) {
    case 'thinking':
      return { kind: 'thoughts', block: read(thinking, value, context) }
    case 'redacted_thinking':
      return { kind: 'thoughts', block: read(redactedThinking, value, context) }
    case 'tool_use': {
      const call = read(toolUse, value, context)
      return { kind: 'call', call, block: { ...value, id: call.id } }
    }
    case 'tool_result':
      return { kind: 'result', message: read(toolResult, value, context), block: value }
    default:
      return { kind: 'part', part: readPart(value, context), block: value }
  }
})

/** The parsed value; its faults become those of `context`. */
export function read<T>(schema: z.ZodType<T>, value: unknown, context: z.RefinementCtx): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  for (const { path, message } of parsed.error.issues) context.addIssue({ code: 'custom', path, message })
  return z.NEVER
}

/** Reduces a single plain text part to a string, which every provider accepts. */
export function joinParts(parts: ContentPart[]): string | ContentPart[] {
  const [first] = parts
  if (!first) return ''
  return parts.length === 1 && isPlainText(first) ? first.text : parts
}

function isPlainText(part: ContentPart): part is ContentPart & { text: string } {
  return isText(part) && Object.keys(part).length === 2
}

function isText(part: ContentPart): part is ContentPart & { text: string } {
  return part.type === 'text' && part.text !== undefined
}

/** Block kinds allowed for each role; for an answer in the order in which a chat message has them. */
const KINDS = {
  user: ['part', 'result'],
  assistant: ['thoughts', 'part', 'call'],
  system: ['part'],
} as const satisfies Record<string, Piece['kind'][]>

type Role = keyof typeof KINDS

/** Converts one message to one or more chat messages in the same order: each tool result becomes its own message. */
export const messageSchema = z
  .looseObject({ role: z.enum(['user', 'assistant', 'system']), content: contentOf(pieceSchema) })
  .superRefine(({ role, content }, context) => {
    for (const [i, { kind }] of content.entries()) {
      if (context.issues.length > MAX_FAULTS) break
      if (placeOf(role, kind) === -1)
        context.addIssue({ code: 'custom', path: ['content', i, 'type'], message: `is not for the role "${role}"` })
    }
  })
  .transform(({ role, content, ...rest }): ChatMessage[] => {
    const messages = role === 'assistant' ? [toAnswer(content)] : splitResults(role, content)
    const [first] = messages
    if (first) Object.assign(first, rest)
    return messages
  })

/** Converts the `system` parameter to the first chat message. */
export const systemSchema = contentOf(partSchema).transform((parts): ChatMessage => ({
  role: 'system',
  content: joinParts(parts),
}))

function placeOf(role: Role, kind: Piece['kind']): number {
  const kinds: readonly Piece['kind'][] = KINDS[role]
  return kinds.indexOf(kind)
}

function splitResults(role: Role, content: readonly Piece[]): ChatMessage[] {
  const messages: ChatMessage[] = []
  let parts: ContentPart[] = []
  const flush = () => {
    if (parts.length > 0) messages.push({ role, content: joinParts(parts) })
    parts = []
  }
  for (const piece of content) {
    if (piece.kind === 'part') parts.push(piece.part)
    if (piece.kind !== 'result') continue
    flush()
    messages.push(piece.message)
  }
  flush()
  return messages.length > 0 ? messages : [{ role, content: '' }]
}

/**
 * One chat message, since OpenAI wants the results of all calls right after the answer. Where it cannot say everything,
 * such as thoughts between calls, `carried` has the blocks, for Anthropic.
 */
export function toAnswer(content: readonly Piece[]): ChatMessage {
  const parts = content.flatMap((piece) => (piece.kind === 'part' ? [piece.part] : []))
  const tool_calls = content.flatMap((piece) => (piece.kind === 'call' ? [piece.call] : []))
  const thoughts = content.flatMap((piece) => (piece.kind === 'thoughts' ? [piece.block] : []))
  const thinking_blocks = thoughts.filter(isSignedThought)
  // Sluice leaves the signature of a thought empty when its upstream speaks Chat Completions.
  const unsigned = thoughts.filter((thought) => !isSignedThought(thought))
  const reasoning = unsigned.map((thought) => (typeof thought.thinking === 'string' ? thought.thinking : '')).join('')
  return {
    role: 'assistant',
    content: joinTexts(parts),
    ...(reasoning && { reasoning_content: reasoning }),
    ...(thinking_blocks.length > 0 && { thinking_blocks }),
    ...(tool_calls.length > 0 && { tool_calls }),
    ...(!isInOrder(content) && { carried: { anthropic: { content: content.map((piece) => piece.block) } } }),
  }
}

/** A string if possible: many servers take nothing else from an assistant. */
function joinTexts(parts: ContentPart[]): ChatMessage['content'] {
  if (parts.length === 0) return null
  return parts.every(isText) ? parts.map(({ text: words }) => words).join('') : parts
}

function isInOrder(content: readonly Piece[]): boolean {
  const parts = content.filter((piece) => piece.kind === 'part')
  if (parts.length > 1 || !parts.every(({ part }) => isPlainText(part))) return false
  return content.every(({ kind }, i) => {
    const previous = content[i - 1]
    return !previous || placeOf('assistant', previous.kind) <= placeOf('assistant', kind)
  })
}
