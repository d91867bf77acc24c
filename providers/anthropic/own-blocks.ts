import type { ChatMessage } from '../../src/chat-request.ts'
import { invalidField } from '../../src/errors.ts'
import { isRecord, recordOrEmpty, type Fields } from '../../src/json.ts'
import { isBlank } from './content.ts'
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

/** Returns no block for a blank text or, unless the server takes these, for an unsigned thought. */
export function toOwnBlock(block: Fields, unsigned: boolean): Fields[] {
  if (isThought(block) && !unsigned && !isSignedThought(block)) return []
  return block.type === 'text' && isBlank(block.text) ? [] : [block]
}

/**
 * The thoughts of an earlier answer as blocks, in whichever form they came back: as blocks (LiteLLM), as
 * `reasoning_details` (OpenRouter, and Sluice's Chat Completions), or in `carried` (Sluice's native protocol). Anthropic
 * checks signatures, so thoughts without one are left out, unless the server takes them.
 */
export function toThoughts(message: ChatMessage, path: string, unsigned: boolean): Fields[] {
  const signed = toSignedThoughts(message, path)
  const words = message.reasoning_content ?? message.reasoning
  if (signed.length > 0 || !unsigned || typeof words !== 'string' || words === '') return signed
  return [{ type: 'thinking', thinking: words, signature: '' }]
}

function toSignedThoughts(message: ChatMessage, path: string): Fields[] {
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
