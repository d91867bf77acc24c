import type { Usage } from '../stream/events.ts'
import { anthropicFields } from './anthropic.ts'
import type { Carried } from './carried.ts'
import { recordOf, type Fields } from './fields.ts'

/** Counts at the start, before any are known. */
export const NO_USAGE: Fields = { input_tokens: 0, output_tokens: 0 }

/**
 * Converts counts to Anthropic's names: tokens read from and written to the prompt cache are apart from the other
 * input. Details without an OpenAI name are kept as the provider sent them.
 * https://platform.claude.com/docs/en/api/messages (`usage`)
 */
export function toAnthropicUsage(usage: Usage | undefined): Fields {
  if (!usage) return NO_USAGE
  const { prompt_tokens, completion_tokens, total_tokens: _, ...details } = usage
  const { prompt_tokens_details, completion_tokens_details, ...own } = details
  // xAI counts more cached tokens than tokens.
  const cached = Math.min(
    prompt_tokens,
    toCount(own.cache_read_input_tokens ?? recordOf(prompt_tokens_details)?.cached_tokens),
  )
  const reasoning = toCount(recordOf(completion_tokens_details)?.reasoning_tokens)
  return {
    input_tokens: Math.max(0, prompt_tokens - toCount(own.cache_creation_input_tokens) - cached),
    output_tokens: completion_tokens,
    ...(cached > 0 && { cache_read_input_tokens: cached }),
    ...(reasoning > 0 && { output_tokens_details: { thinking_tokens: reasoning } }),
    ...own,
  }
}

/** The prompt's part of a usage. */
export interface PromptUsage {
  prompt_tokens: number
  [detail: string]: unknown
}

/** The prompt's usage in `message_start`; undefined for any other event. */
export function promptUsageOf(carried: Carried | undefined): PromptUsage | undefined {
  const usage = carried && recordOf(anthropicFields(carried).message_start?.usage)
  if (typeof usage?.input_tokens !== 'number') return undefined
  const read = toCount(usage.cache_read_input_tokens)
  const written = toCount(usage.cache_creation_input_tokens)
  return {
    prompt_tokens: toCount(usage.input_tokens) + read + written,
    ...(read > 0 && { cache_read_input_tokens: read }),
    ...(written > 0 && { cache_creation_input_tokens: written }),
  }
}

/** Tokens of a prompt that were read from the provider's cache, and written to it. */
export function cachedTokens(usage: Usage): { read: number; written: number } {
  const { cache_read_input_tokens, cache_creation_input_tokens, prompt_tokens, prompt_tokens_details } = usage
  const read = Math.min(
    prompt_tokens,
    toCount(cache_read_input_tokens ?? recordOf(prompt_tokens_details)?.cached_tokens),
  )
  return { read, written: Math.min(prompt_tokens - read, toCount(cache_creation_input_tokens)) }
}

function toCount(value: unknown): number {
  return typeof value === 'number' && value >= 0 && value < Infinity ? value : 0
}
