// The messages of a chat page as a conversation: an answer of several steps is several messages.

import { z } from 'zod'
import { boundedArray } from '../../bounded-schema.ts'
import type { ChatMessage, ContentPart } from '../../chat-request.ts'
import { withoutNulls } from '../../json.ts'
import { joinParts, toAnswer, type Piece } from '../anthropic/turns.ts'
import { partSchema, type UiPiece } from './parts.ts'

export interface UiMessage {
  id: string
  role: 'system' | 'user' | 'assistant'
  messages: ChatMessage[]
}

/** https://ai-sdk.dev/docs/reference/ai-sdk-core/ui-message */
export const uiMessageSchema = z
  .preprocess(
    withoutNulls,
    z.looseObject({
      id: z.string().default(''),
      role: z.enum(['system', 'user', 'assistant']),
      parts: boundedArray(partSchema),
    }),
  )
  .transform(({ id, role, parts }): UiMessage => ({ id, role, messages: toMessages(role, parts.flat()) }))

function toMessages(role: UiMessage['role'], pieces: readonly UiPiece[]): ChatMessage[] {
  if (role === 'assistant') return toSteps(pieces)
  const parts = pieces.flatMap((each): ContentPart[] => {
    if (each.kind === 'file') return [each.part]
    return each.kind === 'piece' && each.piece.kind === 'part' ? [each.piece.part] : []
  })
  if (role === 'user') return [{ role, content: joinParts(parts) }]
  return [{ role, content: parts.map(({ text = '' }) => text).join('') }]
}

/** Each step is an answer, and the results of the tools that it called. Files in it are for the page. */
function toSteps(pieces: readonly UiPiece[]): ChatMessage[] {
  const messages: ChatMessage[] = []
  let step: Piece[] = []
  let results: ChatMessage[] = []
  const flush = () => {
    if (step.length > 0) messages.push(toStep(step), ...results)
    step = []
    results = []
  }
  for (const each of pieces) {
    if (each.kind === 'step') flush()
    else if (each.kind === 'piece') step.push(each.piece)
    else if (each.kind === 'call') {
      step.push(each.call)
      results.push(each.result)
    }
  }
  flush()
  return messages
}

/** Of tools that the provider ran, only the carried blocks tell, for Anthropic: others take nothing but text. */
function toStep(pieces: readonly Piece[]): ChatMessage {
  const answer = toAnswer(pieces)
  if (!Array.isArray(answer.content)) return answer
  const text = answer.content.map((part) => part.text ?? '').join('')
  return { ...answer, content: text === '' ? null : text }
}
