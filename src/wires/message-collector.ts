import type { Delta, ToolCallDelta, Message, ToolCall } from '../stream/events.ts'
import { isOfBlock } from './anthropic.ts'
import { ContentCollector } from './anthropic-content.ts'
import { CarriedCollector } from './carried.ts'
import type { Fields } from './fields.ts'

/** Text fields of a delta; they accumulate by concatenation. */
export const TEXT_FIELDS = ['content', 'reasoning', 'refusal'] as const

interface CollectedCall {
  id: string
  name: string
  isCustom: boolean
  /** Its arguments, or its input. */
  text: string
  carried?: CarriedCollector
}

/**
 * Accumulates the deltas of one choice, for snapshots and for the client. Providers choose names and indexes, so these
 * are keys of maps; the cost of a delta depends on its size alone.
 */
export class MessageCollector {
  readonly #texts: Pick<Delta, (typeof TEXT_FIELDS)[number]> = {}
  #carried: CarriedCollector | undefined
  /** The blocks, when the message comes from Anthropic. */
  #content: ContentCollector | undefined
  readonly #calls = new Map<number, CollectedCall>()

  get message(): Message {
    const calls = [...this.#calls].toSorted(([a], [b]) => a - b).map(([, call]) => toToolCall(call))
    return {
      role: 'assistant',
      content: null,
      ...this.#texts,
      ...(calls.length > 0 && { tool_calls: calls }),
      ...(this.#carried && { carried: this.#withContent(this.#carried.toFields()) }),
    }
  }

  add(delta: Delta): void {
    for (const field of TEXT_FIELDS) {
      const text = delta[field]
      if (text !== undefined) this.#texts[field] = (this.#texts[field] ?? '') + text
    }
    if (delta.carried?.anthropic?.message_start) this.#content ??= new ContentCollector()
    this.#content?.add(delta)
    if (delta.carried) (this.#carried ??= new CarriedCollector()).add(delta.carried)
    for (const call of delta.tool_calls ?? []) this.#addCall(call)
  }

  /** Fields of single blocks would be those of the last; the content has them all. */
  #withContent(carried: Record<string, Fields>): Record<string, Fields> {
    if (!this.#content) return carried
    const { content } = this.#content
    const ofMessage = Object.entries(carried.anthropic ?? {}).filter(([name]) => !isOfBlock(name))
    return { ...carried, anthropic: { ...Object.fromEntries(ofMessage), ...(content && { content }) } }
  }

  #addCall({ index, id, function: called, custom, carried }: ToolCallDelta): void {
    let call = this.#calls.get(index)
    if (!call) this.#calls.set(index, (call = { id: '', name: '', isCustom: custom !== undefined, text: '' }))
    call.id = id ?? call.id
    call.name = called?.name ?? custom?.name ?? call.name
    call.text += called?.arguments ?? custom?.input ?? ''
    if (carried) (call.carried ??= new CarriedCollector()).add(carried)
  }
}

function toToolCall({ id, name, isCustom, text, carried: collected }: CollectedCall): ToolCall {
  const carried = collected && { carried: collected.toFields() }
  return isCustom
    ? { id, type: 'custom', custom: { name, input: text }, ...carried }
    : { id, type: 'function', function: { name, arguments: text }, ...carried }
}
