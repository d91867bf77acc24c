import type { Delta, ToolCallDelta, Message, ToolCall } from '../stream/events.ts'
import { CarriedCollector } from './carried.ts'

/** Text fields of a delta; they accumulate by concatenation. */
export const TEXT_FIELDS = ['content', 'reasoning', 'refusal'] as const

interface CollectedCall {
  id: string
  name: string
  arguments: string
  carried?: CarriedCollector
}

/**
 * Accumulates the deltas of one choice, for snapshots and for the client. Providers choose names and indexes, so these
 * are keys of maps; the cost of a delta depends on its size alone.
 */
export class MessageCollector {
  readonly #texts: Pick<Delta, (typeof TEXT_FIELDS)[number]> = {}
  #carried: CarriedCollector | undefined
  readonly #calls = new Map<number, CollectedCall>()

  get message(): Message {
    const calls = [...this.#calls].toSorted(([a], [b]) => a - b).map(([, call]) => toToolCall(call))
    return {
      role: 'assistant',
      content: null,
      ...this.#texts,
      ...(calls.length > 0 && { tool_calls: calls }),
      ...(this.#carried && { carried: this.#carried.toFields() }),
    }
  }

  add(delta: Delta): void {
    for (const field of TEXT_FIELDS) {
      const text = delta[field]
      if (text !== undefined) this.#texts[field] = (this.#texts[field] ?? '') + text
    }
    if (delta.carried) (this.#carried ??= new CarriedCollector()).add(delta.carried)
    for (const call of delta.tool_calls ?? []) this.#addCall(call)
  }

  #addCall({ index, id, function: called, carried }: ToolCallDelta): void {
    let call = this.#calls.get(index)
    if (!call) this.#calls.set(index, (call = { id: '', name: '', arguments: '' }))
    call.id = id ?? call.id
    call.name = called?.name ?? call.name
    call.arguments += called?.arguments ?? ''
    if (carried) (call.carried ??= new CarriedCollector()).add(carried)
  }
}

function toToolCall({ id, name, arguments: json, carried }: CollectedCall): ToolCall {
  return {
    id,
    type: 'function',
    function: { name, arguments: json },
    ...(carried && { carried: carried.toFields() }),
  }
}
