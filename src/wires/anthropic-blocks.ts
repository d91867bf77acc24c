import type { Delta, ToolCallDelta } from '../stream/events.ts'
import type { AnthropicCarried } from './anthropic.ts'
import type { Fields } from './fields.ts'

/** The content blocks of a message so far. Blocks start in the order of their indexes, from 0. */
export interface Blocks {
  readonly count: number
  /** The type of the last block. */
  readonly last: string | undefined
  /** The block of a tool call. */
  placeOf(call: number): number | undefined
  start(block: Fields, own?: AnthropicCarried): void
  startCall(call: ToolCallDelta, own: AnthropicCarried): number
  /** @param index of any block that has started */
  push(index: number, delta: Fields): void
}

/** The start of a block that a delta implies. */
const EMPTY_BLOCKS = {
  text: { type: 'text', text: '' },
  thinking: { type: 'thinking', thinking: '', signature: '' },
}

/** The thoughts of a delta, and the start of a block that it carries; `wires/anthropic.ts` explains carried fields. */
export function writeThoughts(blocks: Blocks, { reasoning }: Delta, own: AnthropicCarried): void {
  const { content_block: block, block: place, redacted_thinking: data, signature } = own
  if (block && block.type !== 'tool_use') blocks.start(block, own)
  if (data !== undefined) blocks.start({ type: 'redacted_thinking', data }, own)
  if (reasoning) writeIn(blocks, 'thinking', { type: 'thinking_delta', thinking: reasoning }, place)
  // A signature that comes after its block has a block of its own, as those of thoughts that are not shown.
  if (signature !== undefined) writeIn(blocks, 'thinking', { type: 'signature_delta', signature }, place)
}

export function writeTexts(blocks: Blocks, { content, refusal }: Delta, { citation, block }: AnthropicCarried): void {
  if (content) writeIn(blocks, 'text', { type: 'text_delta', text: content }, block)
  if (refusal) writeIn(blocks, 'text', { type: 'text_delta', text: refusal })
  if (citation) writeIn(blocks, 'text', { type: 'citations_delta', citation }, block)
}

export function writeCalls(blocks: Blocks, { tool_calls = [] }: Delta, own: AnthropicCarried): void {
  for (const call of tool_calls) {
    const place = blocks.placeOf(call.index) ?? blocks.startCall(call, own)
    if (call.function?.arguments) writeJson(blocks, place, call.function.arguments)
    if (call.custom?.input) writeJson(blocks, place, JSON.stringify(call.custom.input).slice(1, -1))
  }
  const { content_block_delta: delta, block } = own
  if (delta && blocks.count > 0) blocks.push(placeIn(blocks, block), delta)
}

/**
 * A delta continues the last block if the type matches, and otherwise starts a new one.
 *
 * @param place the block, when it is not the last
 */
export function writeIn(blocks: Blocks, type: keyof typeof EMPTY_BLOCKS, delta: Fields, place?: number): void {
  if (place === undefined && blocks.last !== type) blocks.start(EMPTY_BLOCKS[type])
  if (blocks.count > 0) blocks.push(placeIn(blocks, place), delta)
}

export function writeJson(blocks: Blocks, place: number, partial_json: string): void {
  blocks.push(place, { type: 'input_json_delta', partial_json })
}

function placeIn({ count }: Blocks, place = count - 1): number {
  return Math.min(Math.max(0, Math.trunc(place)), count - 1)
}
