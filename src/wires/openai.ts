import type { CallCarried, Carried } from './carried.ts'
import { recordOf, growing, replacing, type Fields, type Rule } from './fields.ts'

/** Unmodelled fields of a Chat Completions stream, by the object that contained them. */
export type OpenAICarried = { chunk?: Fields; choice?: Fields; delta?: Fields }
export type OpenAICallCarried = { call?: Fields }

/** Fields that OpenAI repeats in every chunk of an answer. */
const REPEATED: ReadonlySet<string> = new Set(['id', 'created', 'model', 'system_fingerprint', 'service_tier'])

export function isRepeated(nameInChunk: string): boolean {
  return REPEATED.has(nameInChunk)
}

const NOTHING: OpenAICarried = {}

/** Returns the levels that are objects; a module may have carried any value. */
export function openaiFields(carried: Carried | undefined): OpenAICarried {
  if (carried?.openai === undefined) return NOTHING
  const chunk = recordOf(carried.openai.chunk)
  const choice = recordOf(carried.openai.choice)
  const delta = recordOf(carried.openai.delta)
  return { ...(chunk && { chunk }), ...(choice && { choice }), ...(delta && { delta }) }
}

export function openaiCallFields(carried: CallCarried | undefined): Fields | undefined {
  return recordOf(carried?.openai?.call)
}

/** Fields of a choice that arrive in parts, one per chunk. */
const GROWING_OF_CHOICE: ReadonlySet<string> = new Set(['logprobs', 'token_ids'])

/** Fields that do not grow are replaced by each chunk. */
export const ruleOfChoices: Rule = (name) => (GROWING_OF_CHOICE.has(name) ? growing : undefined)

/** How the fields of each level accumulate. Chunk fields describe the whole answer; deltas and calls are increments. */
export const ruleOfOpenAI: Rule = (level) => {
  if (level === 'chunk') return replacing
  return level === 'choice' ? ruleOfChoices : growing
}
