import { isRecord, type Fields } from '../../../src/json.ts'
import type { Usage } from '../../provider.ts'
import { boundUsage } from '../../received-fields.ts'

/** Token counts under the names of Chat Completions; undefined when there are none. */
export function readUsage(value: unknown): Usage | undefined {
  if (!isRecord(value)) return undefined
  const { input_tokens, output_tokens, total_tokens, input_tokens_details, output_tokens_details, ...more } = value
  const prompt_tokens = countOf(input_tokens)
  const completion_tokens = countOf(output_tokens)
  if (prompt_tokens === undefined && completion_tokens === undefined) return undefined
  const usage: Fields & Usage = {
    ...more,
    prompt_tokens: prompt_tokens ?? 0,
    completion_tokens: completion_tokens ?? 0,
    total_tokens: countOf(total_tokens) ?? (prompt_tokens ?? 0) + (completion_tokens ?? 0),
  }
  if (isRecord(input_tokens_details)) usage.prompt_tokens_details = input_tokens_details
  if (isRecord(output_tokens_details)) usage.completion_tokens_details = output_tokens_details
  return boundUsage(usage)
}

function countOf(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 && value < Infinity ? value : undefined
}
