// What the end of a Messages stream says: its stop reason and its usage.

import { z } from 'zod'
import type { FinishReason } from '../../src/stream/events.ts'
import type { Usage } from '../provider.ts'
import { isRecord, type Fields } from '../../src/json.ts'
import { finishReasonOf } from '../finish-reasons.ts'
import { boundUsage, countsOf, isGiven, MAX_USAGE_CHARACTERS } from '../received-fields.ts'

/** Stop reasons that map one-to-one to a finish reason. */
const FINISH_REASONS: ReadonlyMap<string, FinishReason> = new Map([
  ['end_turn', 'stop'],
  ['max_tokens', 'length'],
  ['tool_use', 'tool_calls'],
  ['refusal', 'content_filter'],
])

/** Whether a finish reason expresses this stop reason without loss. */
export function isFinishReason(stopReason: string): boolean {
  return FINISH_REASONS.has(stopReason)
}

/** https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons */
export function toFinishReason(stopReason: string): FinishReason {
  // Unknown future reasons end the turn, too.
  return finishReasonOf(stopReason) ?? 'stop'
}

const count = z.number().int().nonnegative()

const usageSchema = z.looseObject({
  input_tokens: count.catch(0),
  output_tokens: count.catch(0),
  cache_creation_input_tokens: count.optional().catch(undefined),
  cache_read_input_tokens: count.optional().catch(undefined),
  output_tokens_details: z.looseObject({ thinking_tokens: count }).optional().catch(undefined),
})

/** Fields of a usage, apart from the counts; Anthropic has about a dozen. */
const MAX_FIELDS = 256

const COUNTS = new Set(['input_tokens', 'output_tokens', 'cache_creation_input_tokens', 'cache_read_input_tokens'])

/** The usage of a message; each event brings the changed fields. */
export class CumulativeUsage {
  readonly #fields = new Map<string, unknown>()

  add(usage: unknown): void {
    if (!isRecord(usage)) return
    for (const [name, value] of Object.entries(usage))
      if (isGiven(value) && (this.#fields.size < MAX_FIELDS || COUNTS.has(name))) this.#fields.set(name, value)
  }

  /** The fields as they came; undefined when there are none, or too many to keep. */
  get fields(): Fields | undefined {
    if (this.#fields.size === 0 || this.#fields.size >= MAX_FIELDS) return undefined
    const fields = Object.fromEntries(this.#fields)
    return JSON.stringify(fields).length <= MAX_USAGE_CHARACTERS ? fields : undefined
  }

  /** Drops all details when there are too many. */
  read(): Usage | undefined {
    if (this.#fields.size === 0) return undefined
    const usage = toUsage(Object.fromEntries(this.#fields))
    return this.#fields.size < MAX_FIELDS ? boundUsage(usage) : countsOf(usage)
  }
}

/**
 * Anthropic's counts in OpenAI's names, plus the counts without an OpenAI name. Anthropic counts tokens read from and
 * written to the prompt cache apart from the other input; OpenAI includes them.
 *
 * https://platform.claude.com/docs/en/api/messages (`usage`)
 */
function toUsage(usage: Fields): Usage {
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
