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
 * | a delta of a block that is not modelled  | `content_block_delta`                                                 |
 * | `message_delta`                          | `stop_reason` and `stop_sequence`, when `finish_reason` cannot say it |
 * |                                          | `message_delta`: the rest of it, less `usage`                         |
 * | an error                                 | `error`: its object, in the `done` of a failed stream                  |
 *
 * A text, thought or tool call implies an empty block of its type when the previous block has another type.
 */
export type AnthropicCarried = {
  id?: string
  model?: string
  message_start?: Fields
  signature?: string
  citation?: Fields
  redacted_thinking?: string
  content_block?: Fields
  content_block_delta?: Fields
  stop_reason?: unknown
  stop_sequence?: unknown
  message_delta?: Fields
  error?: Fields
}

const NOTHING: AnthropicCarried = {}

/** Returns the fields with valid types; a module may have carried any value. */
export function anthropicFields(carried: Carried | undefined): AnthropicCarried {
  if (carried?.anthropic === undefined) return NOTHING
  const { id, model, signature, redacted_thinking, stop_reason, stop_sequence, ...objects }: Fields = carried.anthropic
  const { message_start, citation, content_block, content_block_delta, message_delta, error } = objects
  return {
    ...(typeof id === 'string' && { id }),
    ...(typeof model === 'string' && { model }),
    ...(isRecord(message_start) && { message_start }),
    ...(typeof signature === 'string' && { signature }),
    ...(isRecord(citation) && { citation }),
    ...(typeof redacted_thinking === 'string' && { redacted_thinking }),
    ...(isRecord(content_block) && { content_block }),
    ...(isRecord(content_block_delta) && { content_block_delta }),
    ...(stop_reason !== undefined && { stop_reason }),
    ...(stop_sequence !== undefined && { stop_sequence }),
    ...(isRecord(message_delta) && { message_delta }),
    ...(isRecord(error) && { error }),
  }
}

/**
 * How the fields accumulate: the last value wins. Only a message of the Messages API has all signatures and citations.
 */
export const ruleOfAnthropic = replacing
