import type { Carried } from './carried.ts'
import { isRecord, replacing, type Fields } from './fields.ts'

/**
 * Fields of a Messages stream that are not modelled, carried so that the stream can be restored without loss:
 *
 * | from Anthropic                           | carried                                                               |
 * |------------------------------------------|-----------------------------------------------------------------------|
 * | `message_start`                          | `id`, `model`, and `message_start`: the rest of the message           |
 * | `signature_delta`, `citations_delta`     | `signature`, `citation`                                               |
 * | a block of redacted thoughts             | `redacted_thinking`: its data                                         |
 * | the start of a block                     | `content_block`: the block as it starts, unless the deltas imply it   |
 * | a start while another block is open      | `overlaps`: the block before may still grow                           |
 * | a delta of a block that is not modelled  | `content_block_delta`                                                 |
 * | a delta of a block before the last       | `block`: its place among the blocks; beside a text, too               |
 * | `message_delta`                          | `stop_reason` and `stop_sequence`, when `finish_reason` cannot say it |
 * |                                          | `message_delta`: the rest of it, less `usage`                         |
 * |                                          | `usage`, in `done`, when `Usage` cannot say it                        |
 * | `error`                                  | `error`, in the `done` of a failed stream                             |
 *
 * A text, thought or tool call implies an empty block of its type when the previous block has another type.
 *
 * In a complete message, `content` is the list of blocks, as in Anthropic's `Message`, in place of the fields of single
 * blocks. It is absent when the message's other fields say as much: its thoughts, then its text, then its tool calls.
 */
export type AnthropicCarried = {
  id?: string
  model?: string
  message_start?: Fields
  block?: number
  overlaps?: boolean
  signature?: string
  citation?: Fields
  redacted_thinking?: string
  content_block?: Fields
  content_block_delta?: Fields
  stop_reason?: unknown
  stop_sequence?: unknown
  message_delta?: Fields
  usage?: Fields
  error?: Fields
  content?: Fields[]
}

const NOTHING: AnthropicCarried = {}

/** Returns the fields with valid types; a module may have carried any value. */
export function anthropicFields(carried: Carried | undefined): AnthropicCarried {
  if (carried?.anthropic === undefined) return NOTHING
  const { id, model, block, signature, redacted_thinking, stop_reason, stop_sequence, ...more }: Fields =
    carried.anthropic
  const { message_start, citation, content_block, content_block_delta, message_delta, usage, error } = more
  return {
    ...(typeof id === 'string' && { id }),
    ...(typeof model === 'string' && { model }),
    ...(isRecord(message_start) && { message_start }),
    ...(typeof block === 'number' && { block }),
    ...(more.overlaps === true && { overlaps: true }),
    ...(typeof signature === 'string' && { signature }),
    ...(isRecord(citation) && { citation }),
    ...(typeof redacted_thinking === 'string' && { redacted_thinking }),
    ...(isRecord(content_block) && { content_block }),
    ...(isRecord(content_block_delta) && { content_block_delta }),
    ...(stop_reason !== undefined && { stop_reason }),
    ...(stop_sequence !== undefined && { stop_sequence }),
    ...(isRecord(message_delta) && { message_delta }),
    ...(isRecord(usage) && { usage }),
    ...(isRecord(error) && { error }),
  }
}

const OF_BLOCKS: ReadonlySet<string> = new Set([
  'block',
  'overlaps',
  'signature',
  'citation',
  'redacted_thinking',
  'content_block',
  'content_block_delta',
])

/** Whether a carried field is about one block: `content` has it, too. */
export function isOfBlock(name: string): boolean {
  return OF_BLOCKS.has(name)
}

/** How the fields accumulate: the last value wins; see `anthropic-content.ts` for those of blocks. */
export const ruleOfAnthropic = replacing
