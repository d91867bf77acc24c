import type { ChatMessage } from '../../src/chat-request.ts'
import { invalidField } from '../../src/errors.ts'
import { isRecord, recordOrEmpty, type Fields } from '../../src/json.ts'
import { isSignedThought, isThought, toThinkingBlocks } from '../../src/wires/thoughts.ts'

/**
 * The blocks of an earlier answer, in the order in which Anthropic wrote them, if they came back with it. Not if the
 * client has changed the text or the calls.
 */
export function carriedBlocks({ content, tool_calls = [], carried }: ChatMessage): Fields[] | undefined {
  const blocks = recordOrEmpty(recordOrEmpty(carried).anthropic).content
  if (!Array.isArray(blocks) || !blocks.every(isRecord)) return undefined
  const texts = blocks.filter(({ type }) => type === 'text').map(({ text }) => text)
  if (!Array.isArray(content) && texts.join('') !== (content ?? '')) return undefined
  const ids = blocks.filter(({ type }) => type === 'tool_use').map(({ id }) => id)
  const isSame = ids.length === tool_calls.length && tool_calls.every(({ id }, i) => id === ids[i])
  return isSame ? blocks : undefined
}

/** Returns no block for an empty text or an unsigned thought: the API refuses both. */
export function toOwnBlock(block: Fields): Fields[] {
  if (isThought(block) && !isSignedThought(block)) return []
  if (block.type === 'text' && block.text === '') return []
  return [block.type === 'tool_use' ? { ...block, id: toToolUseId(String(block.id)) } : block]
}

/** Kimi's ids, such as `functions.find:0`, have characters that the API refuses. */
export function toToolUseId(id: string): string {
  return id.replace(/[.:]/g, '_')
}

/**
 * The thoughts of an earlier answer as blocks, in whichever form they came back: as blocks (LiteLLM), as
 * `reasoning_details` (OpenRouter, and Sluice's Chat Completions), or in `carried` (Sluice's native protocol). Anthropic
 * checks signatures, so thoughts without one are left out.
 */
export function toThoughts(message: ChatMessage, path: string): Fields[] {
  const { thinking_blocks, reasoning_details, carried, reasoning } = message
  if (thinking_blocks !== undefined) {
    if (!Array.isArray(thinking_blocks) || !thinking_blocks.every(isRecord))
      throw invalidField('invalid_request', `${path}.thinking_blocks`, 'expected an array of blocks')
    return thinking_blocks.filter((block) => !isThought(block) || isSignedThought(block))
  }
  const { anthropic, openai } = recordOrEmpty(carried)
  const details = reasoning_details ?? recordOrEmpty(recordOrEmpty(openai).delta).reasoning_details
  if (details !== undefined) return toThinkingBlocks(details)
  const { signature, redacted_thinking } = recordOrEmpty(anthropic)
  return [
    { type: 'thinking', thinking: reasoning ?? '', signature },
    { type: 'redacted_thinking', data: redacted_thinking },
  ].filter(isSignedThought)
}
