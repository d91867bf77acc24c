import type { Fields } from '../../json.ts'
import { JoinedFields } from '../joined-fields.ts'
import type { Chunk, ChunkChoice } from './chunks.ts'

/** `chat.completion`: https://platform.openai.com/docs/api-reference/chat/object */
export interface Completion {
  object: 'chat.completion'
  choices: Fields[]
  [field: string]: unknown
}

/** Adds up chunks, like an SDK that collects a stream. */
export class CompletionCollector {
  readonly #fields = new Map<string, unknown>()
  /** By index. Not a list: the upstream chooses indexes, and could make it huge. */
  readonly #choices = new Map<number, ChoiceCollector>()

  add({ choices, ...fields }: Chunk): void {
    for (const [name, value] of Object.entries(fields)) this.#fields.set(name, value)
    for (const choice of choices) {
      let collector = this.#choices.get(choice.index)
      if (!collector) this.#choices.set(choice.index, (collector = new ChoiceCollector(choice.index)))
      collector.add(choice)
    }
  }

  get completion(): Completion {
    return {
      ...Object.fromEntries(this.#fields),
      object: 'chat.completion',
      choices: inOrder(this.#choices).map((choice) => choice.toFields()),
    }
  }
}

class ChoiceCollector {
  readonly #index: number
  readonly #message = new JoinedFields({ role: 'assistant', content: null, refusal: null })
  readonly #calls = new Map<number, JoinedFields>()
  readonly #fields = new JoinedFields({ logprobs: null })
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
    // `content: ""` beside a role only announces content; without a piece of text the content stays null.
    if (value === '' && name === 'content') return
    this.#message.add(name, value)
  }

  #addToolCall({ index, ...fields }: Fields): void {
    const at = typeof index === 'number' ? index : this.#calls.size
    const call = this.#calls.get(at)
    if (call) call.addAll(fields)
    else this.#calls.set(at, new JoinedFields(fields))
  }
}

function inOrder<V>(byIndex: ReadonlyMap<number, V>): V[] {
  return [...byIndex].toSorted(([a], [b]) => a - b).map(([, value]) => value)
}
