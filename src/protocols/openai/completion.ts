import { isRecord, type Fields } from '../../json.ts'
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
  /** The content, once it has come in parts (Mistral); texts between them become parts, too. */
  #parts: PartCollector | undefined
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
      message: {
        ...this.#message.toFields(),
        ...(this.#parts && { content: this.#parts.toList() }),
        ...(calls.length > 0 && { tool_calls: calls }),
      },
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
    if (name === 'content' && (this.#parts || Array.isArray(value))) this.#addParts(value)
    else this.#message.add(name, value)
  }

  #addParts(content: unknown): void {
    if (!this.#parts) {
      this.#parts = new PartCollector()
      this.#parts.add(this.#message.toFields().content)
    }
    this.#parts.add(content)
  }

  #addToolCall({ index, ...fields }: Fields): void {
    const at = typeof index === 'number' ? index : this.#calls.size
    const call = this.#calls.get(at)
    if (call) call.addAll(fields)
    else this.#calls.set(at, new JoinedFields(growing, fields))
  }
}

/** Joins neighbouring parts of one type: a stream sends each in pieces. */
class PartCollector {
  readonly #parts: { type: unknown; fields: JoinedFields; thinking: PartCollector | undefined }[] = []

  add(content: unknown): void {
    if (typeof content === 'string') this.#addPart({ type: 'text', text: content })
    else if (Array.isArray(content)) for (const part of content) if (isRecord(part)) this.#addPart(part)
  }

  toList(): Fields[] {
    return this.#parts.map(({ type, fields, thinking }) => ({
      type,
      ...fields.toFields(),
      ...(thinking && { thinking: thinking.toList() }),
    }))
  }

  #addPart({ type, thinking, ...more }: Fields): void {
    let part = this.#parts.at(-1)
    if (!part || part.type !== type)
      this.#parts.push((part = { type, fields: new JoinedFields(growing), thinking: undefined }))
    part.fields.addAll(more)
    if (Array.isArray(thinking)) (part.thinking ??= new PartCollector()).add(thinking)
    else if (thinking !== undefined) part.fields.add('thinking', thinking)
  }
}

function inOrder<V>(byIndex: ReadonlyMap<number, V>): V[] {
  return [...byIndex].toSorted(([a], [b]) => a - b).map(([, value]) => value)
}
