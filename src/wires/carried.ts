import { ruleOfAnthropic, type AnthropicCarried } from './anthropic.ts'
import { JoinedFields, replacing, type Fields, type Rule } from './fields.ts'
import { ruleOfOpenAI, type OpenAICallCarried, type OpenAICarried } from './openai.ts'

/**
 * Upstream fields that are kept without being modelled, by the wire they came from. A protocol writes the fields of its
 * own wire and deliberate translations; the native protocol writes all. A module may carry fields under its own name.
 */
export type Carried = { openai?: OpenAICarried; anthropic?: AnthropicCarried; [module: string]: Fields | undefined }

/** Carried fields of one tool call; some providers expect them back. */
export type CallCarried = { openai?: OpenAICallCarried; [module: string]: Fields | undefined }

function ruleOf(wire: string): Rule {
  if (wire === 'openai') return ruleOfOpenAI
  return wire === 'anthropic' ? ruleOfAnthropic : replacing
}

/** Accumulates carried fields, by the rule of each wire. */
export class CarriedCollector {
  readonly #wires = new Map<string, JoinedFields>()

  add(carried: Carried | CallCarried): void {
    for (const [wire, fields] of Object.entries(carried)) {
      const joined = this.#wires.get(wire) ?? new JoinedFields(ruleOf(wire))
      this.#wires.set(wire, joined)
      if (fields) joined.addAll(fields)
    }
  }

  toFields(): Record<string, Fields> {
    return Object.fromEntries([...this.#wires].map(([wire, joined]) => [wire, joined.toFields()]))
  }
}
