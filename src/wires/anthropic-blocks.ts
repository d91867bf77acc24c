import type { Delta, ToolCallDelta } from '../stream/events.ts'
import { anthropicFields, type AnthropicCarried } from './anthropic.ts'
import { AppendMap } from './append-map.ts'
import { readDetails, toCitations } from './citations.ts'
import { recordOf, type Fields } from './fields.ts'
import { openaiCallFields, openaiFields } from './openai.ts'
import { withThoughtSignature } from './thought-signature.ts'

/** Blocks start in the order of their indexes, from 0. A delta may be of any block that has started. */
export type BlockEvent =
  | { type: 'start'; index: number; block: Fields; overlaps: boolean }
  | { type: 'delta'; index: number; delta: Fields }

/** Immutable, as the state of an encoder is. */
export interface BlockState {
  /** Number of blocks so far, and the type of the last. */
  readonly count: number
  readonly last?: string
  /** Block of each tool call. */
  readonly calls: AppendMap<number, number>
  /** Blocks of custom tool calls: their JSON is ours. */
  readonly custom: AppendMap<number, true>
  /** The end of the text, for citations by place; undefined when Anthropic is the provider. */
  readonly tail: Tail | undefined
}

interface Tail {
  readonly start: number
  readonly text: string
}

/** How far back a citation may begin, and how much it quotes. In characters; Anthropic's own quote 150. */
const MAX_TAIL = 16 * 1024
const MAX_QUOTE = 512

export const NO_BLOCKS: BlockState = {
  count: 0,
  calls: new AppendMap(),
  custom: new AppendMap(),
  tail: { start: 0, text: '' },
}

interface Step {
  readonly events: readonly BlockEvent[]
  readonly state: BlockState
}

/**
 * Converts a delta to content blocks; `wires/anthropic.ts` explains carried fields. A delta continues the last block if
 * the type matches, and otherwise starts a new one.
 */
export function toBlockEvents(delta: Delta, state: BlockState): Step {
  const writer = new BlockWriter(state)
  writer.write(delta)
  return writer
}

/** The events that complete the blocks. A custom tool call that was `cut` off is left as it is. */
export function endBlocks(state: BlockState, cut: boolean): readonly BlockEvent[] {
  return [...state.custom.keys()]
    .filter((index) => !cut || index < state.count - 1)
    .map((index) => ({ type: 'delta', index, delta: { type: 'input_json_delta', partial_json: '"}' } }))
}

/** The start of a block that a delta implies. */
const EMPTY_BLOCKS = {
  text: { type: 'text', text: '' },
  thinking: { type: 'thinking', thinking: '', signature: '' },
}

class BlockWriter implements Step {
  readonly events: BlockEvent[] = []
  state: BlockState

  constructor(state: BlockState) {
    this.state = state
  }

  write({ content, reasoning, refusal, tool_calls = [], carried }: Delta): void {
    const own = anthropicFields(carried)
    const { delta: beside } = openaiFields(carried)
    if (own.message_start) this.state = { ...this.state, tail: undefined }
    const { content_block: block, block: place } = own
    if (block && block.type !== 'tool_use') this.#start(block, own)
    if (own.redacted_thinking !== undefined) this.#redact(own.redacted_thinking, own)
    if (reasoning) this.#write('thinking', { type: 'thinking_delta', thinking: reasoning }, place)
    if (own.signature !== undefined) this.#sign(own.signature, place)
    for (const { signature, data } of readDetails(beside?.reasoning_details)) {
      if (signature !== undefined) this.#sign(signature)
      if (data !== undefined) this.#redact(data)
    }
    if (content) this.#writeText(content, place)
    if (refusal) this.#write('text', { type: 'text_delta', text: refusal })
    if (own.citation) this.#write('text', { type: 'citations_delta', citation: own.citation }, place)
    for (const citation of toCitations(beside?.annotations, (start, end) => this.#quote(start, end)))
      this.#write('text', { type: 'citations_delta', citation })
    for (const call of tool_calls) this.#writeCall(call, own)
    if (own.content_block_delta && this.state.count > 0) this.#push(this.#at(place), own.content_block_delta)
  }

  #start(block: Fields, { overlaps = false }: AnthropicCarried = {}): void {
    const index = this.state.count
    this.state = { ...this.state, count: index + 1, last: String(block.type) }
    this.events.push({ type: 'start', index, block, overlaps })
  }

  #redact(data: string, own?: AnthropicCarried): void {
    this.#start({ type: 'redacted_thinking', data }, own)
  }

  /** A signature that comes after its block has a block of its own, as those of thoughts that are not shown. */
  #sign(signature: string, place?: number): void {
    this.#write('thinking', { type: 'signature_delta', signature }, place)
  }

  #writeText(text: string, place: number | undefined): void {
    this.#write('text', { type: 'text_delta', text }, place)
    const { tail } = this.state
    if (!tail) return
    const all = tail.text + text
    const dropped = all.length > 2 * MAX_TAIL ? all.length - MAX_TAIL : 0
    this.state = { ...this.state, tail: { start: tail.start + dropped, text: all.slice(dropped) } }
  }

  #quote(start: number, end: number): string {
    const { tail } = this.state
    if (!tail || start < tail.start || end <= start) return ''
    return tail.text.slice(start - tail.start, Math.min(end, start + MAX_QUOTE) - tail.start)
  }

  /** @param place the block, when it is not the last */
  #write(type: keyof typeof EMPTY_BLOCKS, delta: Fields, place?: number): void {
    if (place === undefined && this.state.last !== type) this.#start(EMPTY_BLOCKS[type])
    this.#push(this.#at(place), delta)
  }

  #at(place: number | undefined): number {
    const last = this.state.count - 1
    return place === undefined ? last : Math.min(Math.max(0, Math.trunc(place)), last)
  }

  #push(index: number, delta: Fields): void {
    if (index >= 0) this.events.push({ type: 'delta', index, delta })
  }

  #writeCall({ index, id = '', function: called, custom, carried }: ToolCallDelta, own: AnthropicCarried): void {
    let place = this.state.calls.get(index)
    if (place === undefined) {
      place = this.state.count
      const block = own.content_block?.type === 'tool_use' ? own.content_block : undefined
      const name = called?.name ?? custom?.name ?? ''
      this.#start(block ?? { type: 'tool_use', id: signedId(id, openaiCallFields(carried)), name, input: {} }, own)
      this.state = { ...this.state, calls: this.state.calls.with(index, place) }
      if (custom) {
        this.state = { ...this.state, custom: this.state.custom.with(place, true) }
        this.#pushJson(place, '{"input":"')
      }
    }
    if (called?.arguments) this.#pushJson(place, called.arguments)
    if (custom?.input) this.#pushJson(place, JSON.stringify(custom.input).slice(1, -1))
  }

  #pushJson(index: number, partial_json: string): void {
    this.#push(index, { type: 'input_json_delta', partial_json })
  }
}

/** Gemini wants the signature back, and Messages clients send back nothing of a call but its id, name and input. */
function signedId(id: string, fields: Fields | undefined): string {
  const signature = recordOf(recordOf(fields?.extra_content)?.google)?.thought_signature
  return typeof signature === 'string' && signature !== '' ? withThoughtSignature(id, signature) : id
}
