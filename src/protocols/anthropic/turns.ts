import { z } from 'zod'
import type { ChatMessage } from '../../chat-request.ts'
import { MAX_FAULTS } from '../../faults.ts'
import { contentOf, joinParts, partSchema, pieceSchema, type Piece } from './blocks.ts'

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
