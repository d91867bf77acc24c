import * as fc from 'fast-check'
import type { Delta } from '../../src/stream/events.ts'

const text = fc.string({ unit: 'binary', maxLength: 5 })
const toolIndex = fc.nat({ max: 2 })
const toolStart = fc.record({
  index: toolIndex,
  id: fc.constantFrom('call_a', 'call_b'),
  type: fc.constant('function' as const),
  function: fc.record({ name: fc.constantFrom('find', 'sum'), arguments: text }),
})
const toolArguments = fc.record({ index: toolIndex, function: fc.record({ arguments: text }) })
const toolCalls = fc.array(fc.oneof(toolStart, { weight: 3, arbitrary: toolArguments }), { minLength: 1, maxLength: 3 })
const someFields = fc.dictionary(fc.constantFrom('logprobs', 'tier'), fc.nat(), { minKeys: 1 })
const someCarried = fc.record({ openai: fc.record({ chunk: someFields, choice: someFields }, { requiredKeys: [] }) })

const oneKind = fc.oneof(
  fc.record({ content: text }),
  fc.record({ reasoning: text }),
  fc.record({ refusal: text }),
  fc.record({ tool_calls: toolArguments.map((call) => [call]) }),
)
const anything = fc.record(
  {
    role: fc.constant('assistant' as const),
    content: text,
    reasoning: text,
    refusal: text,
    tool_calls: toolCalls,
    carried: someCarried,
  },
  { requiredKeys: [] },
)

/** Any delta, of the kinds that merge more often than not. */
export const anyDelta: fc.Arbitrary<Delta> = fc
  .tuple(
    fc.oneof({ weight: 4, arbitrary: oneKind }, { weight: 1, arbitrary: anything }),
    fc.constantFrom({}, {}, { index: 0 }, { index: 1 }),
  )
  .map(([fields, index]) => ({ type: 'delta', ...index, ...fields }))

/** What the deltas of each choice add up to, told as plainly as can be: the reference for what merges and collects. */
export function accumulate(deltas: readonly Delta[]) {
  const texts = new Map<string, string>()
  const others = new Map<string, unknown>()
  const add = (place: string, piece: string | undefined) => {
    if (piece !== undefined) texts.set(place, (texts.get(place) ?? '') + piece)
  }
  for (const { index: choice = 0, role, content, reasoning, refusal, tool_calls = [], carried = {} } of deltas) {
    add(`${choice} content`, content)
    add(`${choice} reasoning`, reasoning)
    add(`${choice} refusal`, refusal)
    if (role) others.set(`${choice} role`, role)
    for (const [level, fields] of Object.entries(carried.openai ?? {}))
      for (const [name, value] of Object.entries(fields)) others.set(`${choice} ${level} ${name}`, value)
    for (const { index, id, type, function: called } of tool_calls) {
      const place = `${choice} call ${index}`
      add(`${place} arguments`, called?.arguments)
      if (id !== undefined) others.set(`${place} id`, id)
      if (type !== undefined) others.set(`${place} type`, type)
      if (called?.name !== undefined) others.set(`${place} name`, called.name)
    }
  }
  return { texts: Object.fromEntries(texts), others: Object.fromEntries(others) }
}
