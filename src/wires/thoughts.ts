// Claude's signed thoughts: as blocks of the Messages API, and as `reasoning_details` of Chat Completions, as OpenRouter
// calls them. Claude wants them back, unchanged, while its tools are used.

import { isRecord, type Fields } from './fields.ts'

/** OpenRouter's name for thoughts that Claude has signed. */
export const CLAUDE_FORMAT = 'anthropic-claude-v1'

/** OpenRouter's name for hidden thoughts of OpenAI's models, as their Responses API has them. */
export const OPENAI_FORMAT = 'openai-responses-v1'

/** The `encrypted_content` of each reasoning item among these details. */
export function readEncrypted(details: unknown): string[] {
  if (!Array.isArray(details)) return []
  return details.flatMap((detail: unknown): string[] => {
    if (!isRecord(detail) || detail.type !== 'reasoning.encrypted' || detail.format !== OPENAI_FORMAT) return []
    return typeof detail.data === 'string' ? [detail.data] : []
  })
}

/** Whether a block is a thought that Claude can check: signed, or redacted. Sluice leaves others' thoughts unsigned. */
export function isSignedThought(block: unknown): block is Fields & { type: 'thinking' | 'redacted_thinking' } {
  if (!isRecord(block)) return false
  if (block.type === 'redacted_thinking') return typeof block.data === 'string'
  return block.type === 'thinking' && typeof block.signature === 'string' && block.signature !== ''
}

export function isThought({ type }: Fields): boolean {
  return type === 'thinking' || type === 'redacted_thinking'
}

/** Unsigned thoughts are left out. */
export function toReasoningDetails(blocks: unknown): Fields[] {
  if (!Array.isArray(blocks)) return []
  return blocks
    .filter(isSignedThought)
    .map(({ type, thinking, signature, data }, index) =>
      type === 'thinking'
        ? { type: 'reasoning.text', text: thinking, signature, format: CLAUDE_FORMAT, index }
        : { type: 'reasoning.encrypted', data, format: CLAUDE_FORMAT, index },
    )
}

/**
 * The reverse. Details of other vendors are left out. A client that collects a stream may send back its pieces: those
 * of one text follow each other with one index, and the signature comes last.
 */
export function toThinkingBlocks(details: unknown): Fields[] {
  if (!Array.isArray(details)) return []
  const thoughts: Thought[] = []
  for (const detail of details) {
    if (!isRecord(detail) || detail.format !== CLAUDE_FORMAT) continue
    const { type, text, signature, data, index } = detail
    if (type === 'reasoning.encrypted') thoughts.push({ texts: [], data })
    if (type !== 'reasoning.text') continue
    let open = thoughts.at(-1)
    const continues = open && open.data === undefined && open.signature === undefined && open.index === index
    if (!open || !continues) thoughts.push((open = { texts: [], index }))
    if (typeof text === 'string') open.texts.push(text)
    if (typeof signature === 'string' && signature) open.signature = signature
  }
  return thoughts
    .map(({ texts, signature, data }) =>
      data === undefined
        ? { type: 'thinking', thinking: texts.join(''), signature }
        : { type: 'redacted_thinking', data },
    )
    .filter(isSignedThought)
}

interface Thought {
  texts: string[]
  index?: unknown
  signature?: string
  data?: unknown
}
