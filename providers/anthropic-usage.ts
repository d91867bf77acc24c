import { z } from 'zod'
import type { Usage } from './provider.ts'

const count = z.number().int().nonnegative()

const usageSchema = z.looseObject({
  input_tokens: count.catch(0),
  output_tokens: count.catch(0),
  cache_creation_input_tokens: count.optional().catch(undefined),
  cache_read_input_tokens: count.optional().catch(undefined),
  output_tokens_details: z.looseObject({ thinking_tokens: count }).optional().catch(undefined),
})

/**
 * Anthropic's counts in OpenAI's names, beside those of its own that these do not say. Anthropic counts what the
 * prompt cache gave or took apart from the other input, OpenAI within it.
 *
 * https://platform.claude.com/docs/en/api/messages (`usage`)
 */
export function readUsage(usage: Partial<Record<string, unknown>>): Usage | undefined {
  if (Object.keys(usage).length === 0) return undefined
  const { input_tokens, output_tokens, ...rest } = usageSchema.parse(usage)
  const cached_tokens = rest.cache_read_input_tokens ?? 0
  const prompt_tokens = input_tokens + (rest.cache_creation_input_tokens ?? 0) + cached_tokens
  const reasoning_tokens = rest.output_tokens_details?.thinking_tokens
  return {
    prompt_tokens,
    completion_tokens: output_tokens,
    total_tokens: prompt_tokens + output_tokens,
    prompt_tokens_details: { cached_tokens },
    ...(reasoning_tokens !== undefined && { completion_tokens_details: { reasoning_tokens } }),
    ...rest,
  }
}
