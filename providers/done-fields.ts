import type { Usage } from './provider.ts'

/** `done` is appended even to a full log, so its fields are bounded. */
const MAX_USAGE_CHARACTERS = 16 * 1024
const MAX_MODEL_CHARACTERS = 256

/** Drops the details of a usage that is too large. */
export function boundUsage(usage: Usage): Usage {
  return JSON.stringify(usage).length <= MAX_USAGE_CHARACTERS ? usage : countsOf(usage)
}

export function countsOf({ prompt_tokens, completion_tokens, total_tokens }: Usage): Usage {
  return { prompt_tokens, completion_tokens, total_tokens }
}

/** Whether this is a valid model name. */
export function isModel(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_MODEL_CHARACTERS
}
