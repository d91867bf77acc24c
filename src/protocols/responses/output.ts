// What the output of a response is at a place in the log. Immutable, as the state of an encoder is.

import { parseJson, isRecord, type Fields } from '../../json.ts'
import type { Done } from '../../stream/events.ts'
import { AppendMap } from '../../wires/append-map.ts'
import type { AnthropicNotes } from '../openai/from-anthropic.ts'
import { beginPart, endPart, toItem } from './items.ts'
import type { ItemContent, ItemHead, ItemStatus, ResponseEvent } from './items.ts'

/** The item that grows. */
export interface OpenItem {
  readonly head: ItemHead
  readonly text: string
  readonly annotations: AppendMap<number, Fields>
  /** Length of the whole answer's text before it: upstreams count the places of annotations from the beginning. */
  readonly textStart: number
  /** Of a thought: the parts that have ended. */
  readonly parts?: readonly string[]
  /** Of a call: this part of its arguments has not been sent. */
  readonly held?: boolean
}

export interface Call {
  readonly head: ItemHead
  /** Its upstream has no custom tools: its arguments are an object with the input. */
  readonly wrapped: boolean
  /** Its start has been sent. */
  readonly begun: boolean
}

export interface OutputState {
  /** Number of items so far. */
  readonly count: number
  readonly open: OpenItem | undefined
  /** Items that have ended, by their place. */
  readonly ended: AppendMap<number, Fields>
  /** Calls by the upstream's index. They end with the answer, since their arguments may come mixed. */
  readonly calls: AppendMap<number, Call>
  /** Arguments of calls, in the order in which they came, apart from those of the open item. */
  readonly pieces: AppendMap<number, { readonly index: number; readonly text: string; readonly held: boolean }>
  /** Places of the calls whose arguments are no longer sent before their end: an event of the log had too many pieces. */
  readonly held: AppendMap<number, true>
  readonly textLength: number
  /** Items of the upstream's own tools by its index: their place, and how they began. */
  readonly hosted: AppendMap<number, { readonly index: number; readonly item: Fields }>
  /** Of the next message. */
  readonly phase?: string | undefined
  /** For an answer from Anthropic. */
  readonly notes?: AnthropicNotes | undefined
}

export const NO_OUTPUT: OutputState = {
  count: 0,
  open: undefined,
  ended: new AppendMap(),
  calls: new AppendMap(),
  pieces: new AppendMap(),
  held: new AppendMap(),
  textLength: 0,
  hosted: new AppendMap(),
}

export function valuesOf<K, V>(map: AppendMap<K, V>): V[] {
  return [...map.keys()].flatMap((key) => map.get(key) ?? [])
}

export function contentOf({ text, annotations, parts }: OpenItem): ItemContent {
  return { text, annotations: valuesOf(annotations), ...(parts && { parts }) }
}

/** Each part of a thought costs a copy of the parts before it. */
const MAX_PARTS = 256

/** Ends a part of a thought, and begins the next; undefined when there are too many. */
export function newPart(open: OpenItem): { open: OpenItem; events: ResponseEvent[] } | undefined {
  const { head, text, parts = [] } = open
  if (parts.length >= MAX_PARTS) return undefined
  const next = { ...head, part: parts.length + 1 }
  return {
    open: { ...open, head: next, text: '', parts: [...parts, text] },
    events: [...endPart(head, text), ...beginPart(next)],
  }
}

/** Calls in the order of the output, with their arguments so far, and those that have been held back. */
export function callsOf({ calls, pieces, open }: OutputState): { call: Call; text: string; unsent: string }[] {
  const all = new Map<number, string[]>()
  const unsent = new Map<number, string[]>()
  const last = open && { index: open.head.index, text: open.text, held: open.held ?? false }
  for (const { index, text, held } of [...valuesOf(pieces), ...(last ? [last] : [])]) {
    append(all, index, text)
    if (held) append(unsent, index, text)
  }
  return valuesOf(calls)
    .toSorted((a, b) => a.head.index - b.head.index)
    .map((call) => {
      const { index } = call.head
      const text = (all.get(index) ?? []).join('')
      return {
        call,
        text: call.wrapped ? unwrapInput(text) : text,
        unsent: (unsent.get(index) ?? []).join(''),
      }
    })
}

function append(texts: Map<number, string[]>, index: number, text: string): void {
  const before = texts.get(index)
  if (before) before.push(text)
  else texts.set(index, [text])
}

/** The input of a custom tool in arguments of the form `{"input": "…"}`. */
function unwrapInput(json: string): string {
  try {
    const value = parseJson(json)
    return isRecord(value) && typeof value.input === 'string' ? value.input : json
  } catch {
    return json
  }
}

/** How an item ends with its answer: one without an end may be cut off anywhere. */
export function endStatus({ finish_reason }: Done, { count }: OutputState, index: number): ItemStatus {
  if (finish_reason === 'error' || finish_reason === 'cancelled') return 'incomplete'
  return finish_reason === 'length' && index === count - 1 ? 'incomplete' : 'completed'
}

/** All items, those that have not ended with this status. */
export function toOutput(state: OutputState, statusOf: (index: number) => ItemStatus): Fields[] {
  const items = new Map<number, Fields>()
  for (const { index, item } of valuesOf(state.hosted)) items.set(index, item)
  for (const index of state.ended.keys()) {
    const item = state.ended.get(index)
    if (item) items.set(index, item)
  }
  const { open } = state
  if (open && !isCall(open.head))
    items.set(open.head.index, toItem(open.head, contentOf(open), statusOf(open.head.index)))
  for (const { call, text } of callsOf(state))
    items.set(call.head.index, toItem(call.head, { text }, statusOf(call.head.index)))
  return [...items].toSorted(([a], [b]) => a - b).map(([, item]) => item)
}

export function isCall({ kind }: ItemHead): boolean {
  return kind === 'function' || kind === 'custom'
}
