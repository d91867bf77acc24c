// The items of a response's output, and the events that begin, continue and end each.

import type { Fields } from '../../json.ts'

/** An event of a stream, before it has its number. */
export type ResponseEvent = Fields & { type: string }

export type ItemStatus = 'in_progress' | 'completed' | 'incomplete'

/** An item, as far as it is known from its start. */
export interface ItemHead {
  readonly kind: 'text' | 'refusal' | 'reasoning' | 'function' | 'custom'
  readonly id: string
  /** Its place in the output. */
  readonly index: number
  /** Of a thought: the number of its open part, when it is not the first. */
  readonly part?: number
  /** Of a message: what the text is for. */
  readonly phase?: string
  /** Of a call: the call's id and name. */
  readonly call_id?: string
  readonly name?: string
}

/** What an item says beside its text. */
export interface ItemContent {
  readonly text: string
  readonly annotations?: readonly Fields[]
  /** Of a reasoning item: the parts before the text. */
  readonly parts?: readonly string[]
  /** Of a reasoning item: what its upstream wants back. */
  readonly encrypted?: string | undefined
}

const PREFIXES = { text: 'msg', refusal: 'msg', reasoning: 'rs', function: 'fc', custom: 'ctc' } as const

const ITEM_ID = /^(?:msg|rs|fc|ctc)_(\w+)_(\d{1,9})$/

export function toItemId(kind: ItemHead['kind'], key: string, index: number): string {
  return `${PREFIXES[kind]}_${key}_${index}`
}

/** Where an item is that has this id: the key of its stream, and its place in the output. */
export function readItemId(id: string): { key: string; index: number } | undefined {
  const [, key, index] = ITEM_ID.exec(id) ?? []
  return key === undefined ? undefined : { key, index: Number(index) }
}

export function toItem({ kind, id, call_id, name, phase }: ItemHead, content: ItemContent, status: ItemStatus): Fields {
  switch (kind) {
    case 'text':
    case 'refusal':
      return {
        id,
        type: 'message',
        status,
        role: 'assistant',
        content: [toPart(kind, content)],
        ...(phase !== undefined && { phase }),
      }
    case 'reasoning': {
      const { text, encrypted, parts = [] } = content
      const texts = text === '' ? parts : [...parts, text]
      return {
        id,
        type: 'reasoning',
        summary: texts.map((each) => ({ type: 'summary_text', text: each })),
        ...(encrypted !== undefined && { encrypted_content: encrypted }),
      }
    }
    case 'function':
      return { id, type: 'function_call', status, arguments: content.text, call_id, name }
    case 'custom':
      return { id, type: 'custom_tool_call', status, call_id, input: content.text, name }
  }
}

function toPart(kind: 'text' | 'refusal', { text, annotations = [] }: ItemContent): Fields {
  return kind === 'text' ? { type: 'output_text', annotations, logprobs: [], text } : { type: 'refusal', refusal: text }
}

/** The events that begin an item; `silent` when reasoning has no text. */
export function beginItem(head: ItemHead, { silent = false } = {}): ResponseEvent[] {
  const { kind, index } = head
  const item = toItem(head, { text: '' }, 'in_progress')
  const added = (fields: Fields) => ({ type: 'response.output_item.added', output_index: index, item: fields })
  switch (kind) {
    case 'text':
    case 'refusal':
      return [
        added({ ...item, content: [] }),
        { type: 'response.content_part.added', ...place(head), part: toPart(kind, { text: '' }) },
      ]
    case 'reasoning':
      return silent ? [added(item)] : [added(item), ...beginPart(head)]
    case 'function':
    case 'custom':
      return [added(item)]
  }
}

export function beginPart(head: ItemHead): ResponseEvent[] {
  const part = { type: 'summary_text', text: '' }
  return [{ type: 'response.reasoning_summary_part.added', ...place(head), part }]
}

export function endPart(head: ItemHead, text: string): ResponseEvent[] {
  return [
    { type: `${TYPES.reasoning}.done`, ...place(head), text },
    { type: 'response.reasoning_summary_part.done', ...place(head), part: { type: 'summary_text', text } },
  ]
}

/** What says where in the output a text is. */
function place({ kind, id, index, part = 0 }: ItemHead): Fields {
  const item = { item_id: id, output_index: index }
  if (kind === 'text' || kind === 'refusal') return { ...item, content_index: 0 }
  return kind === 'reasoning' ? { ...item, summary_index: part } : item
}

const TYPES = {
  text: 'response.output_text',
  refusal: 'response.refusal',
  reasoning: 'response.reasoning_summary_text',
  function: 'response.function_call_arguments',
  custom: 'response.custom_tool_call_input',
} as const

export function continueItem(head: ItemHead, delta: string): ResponseEvent {
  return { type: `${TYPES[head.kind]}.delta`, ...place(head), delta, ...(head.kind === 'text' && { logprobs: [] }) }
}

export function annotateItem(head: ItemHead, annotation: Fields, index: number): ResponseEvent {
  return { type: `${TYPES.text}.annotation.added`, ...place(head), annotation_index: index, annotation }
}

/** The events that end an item. */
export function endItem(head: ItemHead, content: ItemContent, status: ItemStatus): ResponseEvent[] {
  const { kind, index } = head
  const { text } = content
  const type = `${TYPES[kind]}.done`
  const done = { type: 'response.output_item.done', output_index: index, item: toItem(head, content, status) }
  switch (kind) {
    case 'text':
      return [
        { type, ...place(head), text, logprobs: [] },
        { type: 'response.content_part.done', ...place(head), part: toPart(kind, content) },
        done,
      ]
    case 'refusal':
      return [
        { type, ...place(head), refusal: text },
        { type: 'response.content_part.done', ...place(head), part: toPart(kind, content) },
        done,
      ]
    case 'reasoning':
      return text === '' ? [done] : [...endPart(head, text), done]
    case 'function':
      return [{ type, ...place(head), arguments: text, name: head.name }, done]
    case 'custom':
      return [{ type, ...place(head), input: text }, done]
  }
}
