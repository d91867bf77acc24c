import type { Fields } from '../../json.ts'
import { growing, JoinedFields, replacing } from '../../wires/fields.ts'
import { ruleOfChoices } from '../../wires/openai.ts'
import type { Chunk, ChunkChoice } from './chunks.ts'

/** `chat.completion`: https://platform.openai.com/docs/api-reference/chat/object */
export interface Completion {
  object: 'chat.completion'
  choices: Fields[]
  [field: string]: unknown
}

/** Accumulates chunks, like an SDK that collects a stream. */
export class CompletionCollector {
  readonly #fields = new JoinedFields(replacing)
  /** Keyed by index. Not an array: the upstream chooses indexes and could make it huge. */
  readonly #choices = new Map<number, ChoiceCollector>()

  add({ choices, ...fields }: Chunk): void {
    this.#fields.addAll(fields)
    for (const choice of choices) {
      let collector = this.#choices.get(choice.index)
      if (!collector) this.#choices.set(choice.index, (collector = new ChoiceCollector(choice.index)))
      collector.add(choice)
    }
  }

  get completion(): Completion {
    return {
      ...this.#fields.toFields(),
      object: 'chat.completion',
      choices: inOrder(this.#choices).map((choice) => choice.toFields()),
    }
  }
}

class ChoiceCollector {
  readonly #index: number
  readonly #message = new JoinedFields(growing, { role: 'assistant', content: null, refusal: null })
  readonly #calls = new Map<number, JoinedFields>()
  readonly #fields = new JoinedFields(ruleOfChoices, { logprobs: null })
  #finishReason: string | null = null

  constructor(index: number) {
    this.#index = index
  }

  add({ index: _, delta, finish_reason, ...fields }: ChunkChoice): void {
    for (const [name, value] of Object.entries(delta)) this.#addToMessage(name, value)
    this.#fields.addAll(fields)
    this.#finishReason = finish_reason ?? this.#finishReason
  }

  toFields(): Fields {
    const calls = inOrder(this.#calls).map((call) => call.toFields())
    return {
      index: this.#index,
      message: { ...this.#message.toFields(), ...(calls.length > 0 && { tool_calls: calls }) },
      ...this.#fields.toFields(),
      finish_reason: this.#finishReason,
    }
  }

  #addToMessage(name: string, value: unknown): void {
    if (name === 'role') return
    if (name === 'tool_calls' && Array.isArray(value)) {
      for (const call of value) this.#addToolCall(call)
      return
    }
    // `content: ""` with a role only announces content; until text arrives, the content stays null.
    if (value === '' && name === 'content') return
    this.#message.add(name, value)
  }

  #addToolCall({ index, ...fields }: Fields): void {
    const at = typeof index === 'number' ? index : this.#calls.size
    const call = this.#calls.get(at)
    if (call) call.addAll(fields)
    else this.#calls.set(at, new JoinedFields(growing, fields))
  }
}

function inOrder<V>(byIndex: ReadonlyMap<number, V>): V[] {
  return [...byIndex].toSorted(([a], [b]) => a - b).map(([, value]) => value)
}
