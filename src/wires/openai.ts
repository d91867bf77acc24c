import type { CallCarried, Carried } from './carried.ts'
import { recordOf, growing, replacing, type Fields, type Rule } from './fields.ts'

/**
 * Unmodelled fields of a Chat Completions stream, by the object that contained them.
 *
 * - `reasoning_fields`: the names under which the upstream sends its reasoning, unless it is `reasoning_content` alone
 * - `response`: fields of the object that an upstream of the Responses API repeats
 * - `item_event`: an event of that API about an output item that is not modelled, or where an item begins
 * - `error`: the error object that the upstream sent, in the `done` of a failed stream
 */
export type OpenAICarried = {
  chunk?: Fields
  choice?: Fields
  delta?: Fields
  reasoning_fields?: string[]
  response?: Fields
  item_event?: Fields
  error?: Fields
}
/** `legacy`: the call was sent as `function_call`. */
export type OpenAICallCarried = { call?: Fields; legacy?: boolean }

/** Names of the reasoning in a delta; the first is the one that Sluice writes by itself. */
export const REASONING_FIELDS = ['reasoning_content', 'reasoning'] as const

/** Fields that OpenAI repeats in every chunk of an answer. */
const REPEATED: ReadonlySet<string> = new Set([
  'id',
  'object',
  'created',
  'model',
  'system_fingerprint',
  'service_tier',
])

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
  const error = recordOf(carried.openai.error)
  const response = recordOf(carried.openai.response)
  const item_event = recordOf(carried.openai.item_event)
  const names = carried.openai.reasoning_fields
  const reasoning_fields = Array.isArray(names) && REASONING_FIELDS.filter((name) => names.includes(name))
  return {
    ...(chunk && { chunk }),
    ...(choice && { choice }),
    ...(delta && { delta }),
    ...(reasoning_fields && reasoning_fields.length > 0 && { reasoning_fields }),
    ...(response && { response }),
    ...(item_event && { item_event }),
    ...(error && { error }),
  }
}

export function openaiCallFields(carried: CallCarried | undefined): Fields | undefined {
  return recordOf(carried?.openai?.call)
}

export function isLegacyCall(carried: CallCarried | undefined): boolean {
  return carried?.openai?.legacy === true
}

/** Fields of a choice that arrive in parts, one per chunk. */
const GROWING_OF_CHOICE: ReadonlySet<string> = new Set(['logprobs', 'token_ids'])

/** Fields that do not grow are replaced by each chunk. */
export const ruleOfChoices: Rule = (name) => (GROWING_OF_CHOICE.has(name) ? growing : undefined)

/** How the fields of each level accumulate. Chunk fields describe the whole answer; deltas and calls are increments. */
export const ruleOfOpenAI: Rule = (level) => {
  switch (level) {
    case 'chunk':
      return replacing
    case 'choice':
      return ruleOfChoices
    case 'delta':
    case 'call':
      return growing
    default:
      return undefined
  }
}
