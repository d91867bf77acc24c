import type { Usage } from './provider.ts'

/** `done` is appended to a log that is full as well: what upstreams put into it is bounded here. */
const MAX_USAGE_CHARACTERS = 16 * 1024
const MAX_MODEL_CHARACTERS = 256

/** The usage, of which details beyond the limit are left out. */
export function withinLimit(usage: Usage): Usage {
  return JSON.stringify(usage).length <= MAX_USAGE_CHARACTERS ? usage : countsOf(usage)
}

export function countsOf({ prompt_tokens, completion_tokens, total_tokens }: Usage): Usage {
  return { prompt_tokens, completion_tokens, total_tokens }
}

/** Whether this can be the name of a model. */
export function isModel(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_MODEL_CHARACTERS
}
