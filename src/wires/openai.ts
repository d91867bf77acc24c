import type { CallCarried, Carried } from './carried.ts'
import { recordOf, type Fields } from './fields.ts'
import { growing, replacing, type Rule } from './joined-fields.ts'

/** Fields of a Chat Completions stream that are not modelled, by the object that they stood in. */
export type OpenAICarried = { chunk?: Fields; choice?: Fields; delta?: Fields }
export type OpenAICallCarried = { call?: Fields }

/** Fields of a chunk that OpenAI repeats on every chunk of an answer. */
const REPEATED: ReadonlySet<string> = new Set(['id', 'created', 'model', 'system_fingerprint', 'service_tier'])

export function isRepeated(nameInChunk: string): boolean {
  return REPEATED.has(nameInChunk)
}

const NOTHING: OpenAICarried = {}

/** The levels that are there; a module may have put anything in their place. */
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

/** Fields of a choice of which each chunk has a part. */
const GROWING_OF_CHOICE: ReadonlySet<string> = new Set(['logprobs', 'token_ids'])

/** Each chunk states anew what does not grow. */
export const ruleOfChoices: Rule = (name) => (GROWING_OF_CHOICE.has(name) ? growing : undefined)

/** How the fields of each level add up. Chunks speak of the whole answer; deltas and calls are increments. */
export const ruleOfOpenAI: Rule = (level) => {
  if (level === 'chunk') return replacing
  return level === 'choice' ? ruleOfChoices : growing
}
