import { isRecord, recordOrEmpty, type Fields } from '../../../src/json.ts'
import type { OpenAICarried } from '../../../src/wires/openai.ts'
import { OPENAI_FORMAT } from '../../../src/wires/thoughts.ts'
import type { Delta, ToolCallDelta } from '../../provider.ts'
import { MAX_TOOL_CALLS, toText } from '../../received-fields.ts'
import { sentInvalid, sentOverLimit } from '../../upstream-errors.ts'

/** An item of the output, while it is open. */
interface Item {
  readonly kind: 'message' | 'reasoning' | 'function' | 'custom' | 'other'
  /** Of a call: ours. */
  readonly call: number
  /** Characters of its text, its refusal, its arguments or its thoughts so far. */
  length: number
  annotations: number
  /** Length of all texts of the answer before this part. */
  textStart: number
}

/** Real answers have some dozens, each with one call at most. */
const MAX_ITEMS = MAX_TOOL_CALLS

const MAX_PHASE = 64

const KINDS: ReadonlyMap<unknown, Item['kind']> = new Map<unknown, Item['kind']>([
  ['message', 'message'],
  ['reasoning', 'reasoning'],
  ['function_call', 'function'],
  ['custom_tool_call', 'custom'],
])

/** Reads the events about the items of one output. An upstream's index is only a map key, never an array position. */
export class ItemReader {
  readonly #items = new Map<number, Item>()
  readonly #ended = new Set<number>()
  #last: { index: number; item: Item } | undefined
  #calls = 0
  #textLength = 0

  /** Whether the answer has calls of the client's tools. */
  get hasCalls(): boolean {
    return this.#calls > 0
  }

  /** @throws ProviderError `upstream_invalid_response` */
  read(event: Fields): Delta[] {
    const { type } = event
    const index = this.#indexOf(event.output_index)
    switch (type) {
      case 'response.output_item.added': {
        const deltas: Delta[] = []
        this.#begin(index, recordOrEmpty(event.item), deltas)
        return deltas
      }
      case 'response.output_item.done':
        return this.end(index, recordOrEmpty(event.item))
      case 'response.content_part.added':
        this.#itemAt(index, 'message').textStart = this.#textLength
        return []
      case 'response.output_text.delta':
        return this.#say(this.#itemAt(index, 'message'), toText(event.delta), event.logprobs)
      case 'response.refusal.delta':
        return grow(this.#itemAt(index, 'message'), 'refusal', toText(event.delta))
      case 'response.output_text.annotation.added':
        return this.#annotate(this.#itemAt(index, 'message'), [event.annotation])
      case 'response.reasoning_summary_part.added':
        return newPart(this.#itemAt(index, 'reasoning'))
      case 'response.reasoning_summary_text.delta':
      case 'response.reasoning_text.delta':
        return grow(this.#itemAt(index, 'reasoning'), 'reasoning', toText(event.delta))
      case 'response.function_call_arguments.delta':
      case 'response.custom_tool_call_input.delta':
        return this.#pass(this.#callAt(index), toText(event.delta))
      default:
        return this.#items.get(index)?.kind === 'other' ? [carry({ item_event: toItemEvent(event) })] : []
    }
  }

  /** Reads an item that is complete, and tells what was not told in pieces. */
  end(index: number, item: Fields): Delta[] {
    if (this.#ended.has(index)) return []
    const deltas: Delta[] = []
    const open = this.#items.get(index) ?? this.#begin(index, item, deltas)
    this.#ended.add(index)
    switch (open.kind) {
      case 'message':
        this.#endMessage(open, item, deltas)
        break
      case 'reasoning':
        if (open.length === 0)
          for (const text of thoughtsOf(item)) deltas.push(...newPart(open), ...grow(open, 'reasoning', text))
        if (typeof item.encrypted_content === 'string' && item.encrypted_content !== '')
          deltas.push(carry({ delta: { reasoning_details: [toDetail(item, index)] } }))
        break
      case 'function':
      case 'custom': {
        const text = open.kind === 'custom' ? item.input : item.arguments
        if (open.length === 0 && typeof text === 'string') deltas.push(...this.#pass(open, text))
        break
      }
      case 'other':
        deltas.push(carry({ item_event: { type: 'response.output_item.done', output_index: index, item } }))
    }
    return deltas
  }

  /** Reads the whole output. If items were streamed before, reads only those still open: indexes may differ. */
  endAll(output: readonly unknown[]): Delta[] {
    const isWhole = this.#items.size === 0
    return output.flatMap((item, index) =>
      isWhole || this.#items.has(index) ? this.end(index, recordOrEmpty(item)) : [],
    )
  }

  #begin(index: number, item: Fields, deltas: Delta[]): Item {
    const known = this.#items.get(index)
    if (known) return known
    if (this.#items.size >= MAX_ITEMS) throw sentOverLimit(`more than ${MAX_ITEMS} output items`)
    const kind = KINDS.get(item.type) ?? 'other'
    const isCall = kind === 'function' || kind === 'custom'
    const begun: Item = { kind, call: this.#calls, length: 0, annotations: 0, textStart: this.#textLength }
    // Two texts in a row are two items.
    const isSaid = kind === 'message' || kind === 'reasoning'
    const phase = typeof item.phase === 'string' && item.phase.length <= MAX_PHASE && { phase: item.phase }
    if (isSaid && (phase || this.#last?.item.kind === kind))
      deltas.push(carry({ item_event: { type: 'response.output_item.added', item: { type: kind, ...phase } } }))
    this.#items.set(index, begun)
    this.#last = { index, item: begun }
    if (isCall) deltas.push({ type: 'delta', tool_calls: [toCall(begun, item)] })
    if (isCall) this.#calls += 1
    if (kind === 'other')
      deltas.push(
        carry({ item_event: { type: 'response.output_item.added', output_index: index, item: withoutOutput(item) } }),
      )
    return begun
  }

  #endMessage(open: Item, { content }: Fields, deltas: Delta[]): void {
    const parts = Array.isArray(content) ? content.filter(isRecord) : []
    const isUntold = open.length === 0
    let annotations = 0
    for (const { type, text, refusal, logprobs, annotations: noted } of parts) {
      if (isUntold && type === 'output_text' && typeof text === 'string' && text !== '') {
        open.textStart = this.#textLength
        deltas.push(...this.#say(open, text, logprobs))
      }
      if (isUntold && type === 'refusal' && typeof refusal === 'string') deltas.push(...grow(open, 'refusal', refusal))
      if (!Array.isArray(noted)) continue
      const untold = noted.slice(Math.max(0, open.annotations - annotations))
      annotations += noted.length
      if (untold.length > 0 && annotations > open.annotations) deltas.push(...this.#annotate(open, untold))
    }
  }

  #say(item: Item, text: string, logprobs: unknown): Delta[] {
    this.#textLength += text.length
    const deltas = grow(item, 'content', text)
    const [delta] = deltas
    if (delta && Array.isArray(logprobs) && logprobs.length > 0)
      delta.carried = { openai: { choice: { logprobs: { content: logprobs } } } }
    return deltas
  }

  /** In the form of Chat Completions, whose places count from the start of the whole text. */
  #annotate(item: Item, given: readonly unknown[]): Delta[] {
    item.annotations += given.length
    const annotations = given.filter(isRecord).map((annotation) => {
      const { type, start_index, end_index, ...fields } = annotation
      if (type !== 'url_citation') return annotation
      const at = (place: unknown) => (typeof place === 'number' ? place + item.textStart : 0)
      return { type, url_citation: { ...fields, start_index: at(start_index), end_index: at(end_index) } }
    })
    return annotations.length > 0 ? [carry({ delta: { annotations } })] : []
  }

  #pass(item: Item, text: string): Delta[] {
    if (text === '') return []
    item.length += text.length
    const { call: index } = item
    const call: ToolCallDelta =
      item.kind === 'custom' ? { index, custom: { input: text } } : { index, function: { arguments: text } }
    return [{ type: 'delta', tool_calls: [call] }]
  }

  #indexOf(value: unknown): number {
    if (value === undefined) return this.#last?.index ?? 0
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
    throw sentInvalid('an output index that is none')
  }

  /** Some servers begin a text without its item. */
  #itemAt(index: number, kind: 'message' | 'reasoning'): Item {
    const item = this.#items.get(index) ?? this.#begin(index, { type: kind }, [])
    if (item.kind !== kind) throw sentInvalid(`a piece of a ${kind} for another item`)
    return item
  }

  #callAt(index: number): Item {
    const item = this.#items.get(index)
    if (item?.kind === 'function' || item?.kind === 'custom') return item
    throw sentInvalid('a piece of a call that has not begun')
  }
}

function grow(item: Item, field: 'content' | 'reasoning' | 'refusal', text: string): Delta[] {
  item.length += text.length
  return text === '' ? [] : [{ type: 'delta', [field]: text }]
}

/** A summary has parts; elsewhere they are paragraphs. */
function newPart(item: Item): Delta[] {
  if (item.length === 0) return []
  return [{ ...carry({ item_event: { type: 'response.reasoning_summary_part.added' } }), reasoning: '\n\n' }]
}

function thoughtsOf({ summary, content }: Fields): string[] {
  const parts = [summary, content].find((list) => Array.isArray(list) && list.length > 0)
  if (!Array.isArray(parts)) return []
  if (parts.length > MAX_ITEMS) throw sentOverLimit(`more than ${MAX_ITEMS} parts of a thought`)
  return parts.flatMap((part: unknown) => {
    const { text } = recordOrEmpty(part)
    return typeof text === 'string' && text !== '' ? [text] : []
  })
}

function toDetail({ id, encrypted_content: data }: Fields, index: number): Fields {
  return { type: 'reasoning.encrypted', data, format: OPENAI_FORMAT, id, index }
}

function toCall({ kind, call: index }: Item, { call_id, id, name }: Fields): ToolCallDelta {
  const known = [call_id, id].find((each) => typeof each === 'string' && each !== '')
  if (typeof known !== 'string' || typeof name !== 'string' || name === '')
    throw sentInvalid('a tool call without an id or a name')
  return kind === 'custom'
    ? { index, id: known, type: 'custom', custom: { name, input: '' } }
    : { index, id: known, type: 'function', function: { name, arguments: '' } }
}

/** An item that comes whole, in an answer without a stream, has its results at the end alone. */
function withoutOutput(item: Fields): Fields {
  if (item.status !== 'completed') return item
  const { result: _, results: _results, output: _output, outputs: _outputs, ...rest } = item
  return { ...rest, status: 'in_progress' }
}

function toItemEvent({ sequence_number: _, obfuscation: _padding, ...event }: Fields): Fields {
  return event
}

function carry(openai: OpenAICarried): Delta {
  return { type: 'delta', carried: { openai } }
}
