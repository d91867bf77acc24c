import type { Delta, ToolCallDelta } from './events.ts'
import type { Message, ToolCall } from './message.ts'
import type { StreamLog } from './stream-log.ts'
import { readInSlices } from './time-slices.ts'

/** The message of one choice, up to the current end of the log. */
export async function collectMessage(log: StreamLog, choice = 0): Promise<Message> {
  const collector = new MessageCollector()
  await readInSlices(log, log.last, ({ events }) => {
    for (const { event } of events) if (event.type === 'delta' && (event.index ?? 0) === choice) collector.add(event)
  })
  return collector.message
}

type TextField = 'content' | 'reasoning' | 'refusal'

interface CollectedCall {
  id: string
  name: string
  arguments: string
  extra?: Map<string, unknown>
}

/** Providers choose names and indexes, so these are keys of maps; the cost of a delta depends on its size alone. */
class MessageCollector {
  readonly #texts: Partial<Record<TextField, string>> = {}
  readonly #extra = new Map<string, unknown>()
  readonly #calls = new Map<number, CollectedCall>()

  get message(): Message {
    const calls = [...this.#calls].toSorted(([a], [b]) => a - b).map(([, call]) => toToolCall(call))
    return {
      role: 'assistant',
      content: null,
      ...this.#texts,
      ...(calls.length > 0 && { tool_calls: calls }),
      ...(this.#extra.size > 0 && { extra: Object.fromEntries(this.#extra) }),
    }
  }

  add({ content, reasoning, refusal, tool_calls = [], extra = {} }: Delta): void {
    this.#addText('content', content)
    this.#addText('reasoning', reasoning)
    this.#addText('refusal', refusal)
    for (const [name, value] of Object.entries(extra)) this.#extra.set(name, value)
    for (const call of tool_calls) this.#addCall(call)
  }

  #addText(field: TextField, text: string | undefined): void {
    if (text !== undefined) this.#texts[field] = (this.#texts[field] ?? '') + text
  }

  #addCall({ index, id, function: called, extra = {} }: ToolCallDelta): void {
    let call = this.#calls.get(index)
    if (!call) this.#calls.set(index, (call = { id: '', name: '', arguments: '' }))
    if (id !== undefined) call.id = id
    if (called?.name !== undefined) call.name = called.name
    if (called?.arguments !== undefined) call.arguments += called.arguments
    for (const [name, value] of Object.entries(extra)) (call.extra ??= new Map()).set(name, value)
  }
}

function toToolCall({ id, name, arguments: json, extra }: CollectedCall): ToolCall {
  return {
    id,
    type: 'function',
    function: { name, arguments: json },
    ...(extra && { extra: Object.fromEntries(extra) }),
  }
}
