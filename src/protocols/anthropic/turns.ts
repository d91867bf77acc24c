// The conversation of a request: its turns and their content blocks, converted to chat messages.

import { z } from 'zod'
import { boundedArray, boundedRecord } from '../../bounded-schema.ts'
import type { ChatMessage, ContentPart } from '../../chat-request.ts'
import { MAX_FAULTS } from '../../faults.ts'
import { withoutNulls } from '../../json.ts'

export type ToolCall = NonNullable<ChatMessage['tool_calls']>[number]

/** A content block, converted for a chat request. */
export type Piece =
  | { kind: 'thoughts'; block: Record<string, unknown> }
  | { kind: 'part'; part: ContentPart }
  | { kind: 'call'; call: ToolCall }
  | { kind: 'result'; message: ChatMessage }

/** Fields that locate the data, for each type of source. */
const SOURCES: ReadonlyMap<string, readonly ('media_type' | 'data' | 'url' | 'file_id')[]> = new Map([
  ['base64', ['media_type', 'data']],
  ['url', ['url']],
  ['file', ['file_id']],
])

const source = z
  .looseObject({
    type: z.string(),
    media_type: z.string().optional(),
    data: z.string().optional(),
    url: z.string().optional(),
    file_id: z.string().optional(),
  })
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
  .transform(({ type: _, id, name, input, ...rest }): ToolCall => ({
    ...rest,
    id,
    type: 'function',
    function: { name, arguments: JSON.stringify(input) },
  }))

const toolResult = z
  .looseObject({ type: z.string(), tool_use_id: z.string(), content: contentOf(partSchema).optional() })
  .transform(({ type: _, tool_use_id, content = [], ...rest }): ChatMessage => ({
    ...rest,
    role: 'tool',
    tool_call_id: tool_use_id,
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
    case 'tool_use':
      return { kind: 'call', call: read(toolUse, value, context) }
    case 'tool_result':
      return { kind: 'result', message: read(toolResult, value, context) }
    default:
      return { kind: 'part', part: readPart(value, context) }
  }
})

function read<T>(schema: z.ZodType<T>, value: unknown, context: z.RefinementCtx): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  for (const { path, message } of parsed.error.issues) context.addIssue({ code: 'custom', path, message })
  return z.NEVER
}

/** Reduces a single plain text part to a string, which every provider accepts. */
function joinParts(parts: ContentPart[]): string | ContentPart[] {
  const [first] = parts
  if (!first) return ''
  const isPlain = parts.length === 1 && first.type === 'text' && Object.keys(first).length === 2
  return isPlain && first.text !== undefined ? first.text : parts
}

/** Block kinds allowed for each role, in the order in which a chat message has them. */
const KINDS = {
  user: ['part', 'result'],
  assistant: ['thoughts', 'part', 'call'],
  system: ['part'],
} as const satisfies Record<string, Piece['kind'][]>

type Role = keyof typeof KINDS

/**
 * Converts one message to one or more chat messages in the same order: each tool result becomes its own message, and a
 * block out of order starts a new one. The provider merges them again.
 */
export const messageSchema = z
  .looseObject({ role: z.enum(['user', 'assistant', 'system']), content: contentOf(pieceSchema) })
  .superRefine(({ role, content }, context) => {
    for (const [i, { kind }] of content.entries()) {
      if (context.issues.length > MAX_FAULTS) break
      if (placeOf(role, kind) === -1)
        context.addIssue({ code: 'custom', path: ['content', i, 'type'], message: `is not for the role "${role}"` })
    }
  })
  .transform(({ role, content, ...rest }): ChatMessage[] =>
    splitContent(role, content).map((pieces, i) => Object.assign(toMessage(role, pieces), i === 0 && rest)),
  )

/** Converts the `system` parameter to the first chat message. */
export const systemSchema = contentOf(partSchema).transform((parts): ChatMessage => ({
  role: 'system',
  content: joinParts(parts),
}))

function placeOf(role: Role, kind: Piece['kind']): number {
  const kinds: readonly Piece['kind'][] = KINDS[role]
  return kinds.indexOf(kind)
}

function splitContent(role: Role, content: Piece[]): Piece[][] {
  let current: Piece[] = []
  const messages = [current]
  for (const piece of content) {
    const previous = current.at(-1)
    if (previous && (piece.kind === 'result' || placeOf(role, piece.kind) < placeOf(role, previous.kind)))
      messages.push((current = []))
    current.push(piece)
  }
  return messages
}

function toMessage(role: Role, pieces: Piece[]): ChatMessage {
  const [first] = pieces
  if (first?.kind === 'result') return first.message
  const parts = pieces.flatMap((piece) => (piece.kind === 'part' ? [piece.part] : []))
  const thinking_blocks = pieces.flatMap((piece) => (piece.kind === 'thoughts' ? [piece.block] : []))
  const tool_calls = pieces.flatMap((piece) => (piece.kind === 'call' ? [piece.call] : []))
  return {
    role,
    content: parts.length === 0 && role === 'assistant' ? null : joinParts(parts),
    ...(thinking_blocks.length > 0 && { thinking_blocks }),
    ...(tool_calls.length > 0 && { tool_calls }),
  }
}
