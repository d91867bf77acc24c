import type { Delta, ToolCallDelta } from '../stream/events.ts'
import { anthropicFields, type AnthropicCarried } from './anthropic.ts'
import { writeCalls, writeIn, writeJson, writeTexts, writeThoughts, type Blocks } from './anthropic-blocks.ts'
import { AppendMap } from './append-map.ts'
import { readDetails, readThinkingBlocks, toCitations } from './citations.ts'
import type { Fields } from './fields.ts'
import { openaiCallFields, openaiFields } from './openai.ts'
import { signedId } from './thought-signature.ts'

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
  /** The last block holds thoughts, and no signature. */
  readonly unsigned?: boolean
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

/** Converts a delta of any wire to content blocks. */
export function toBlockEvents(delta: Delta, state: BlockState): Step {
  const writer = new BlockWriter(state)
  writer.write(delta)
  return writer
}

/** The events that complete the blocks. A custom tool call that was `cut` off is left as it is. */
export function endBlocks(state: BlockState, cut: boolean): readonly BlockEvent[] {
  const custom = [...state.custom.keys()]
    .filter((index) => !cut || index < state.count - 1)
    .map((index): BlockEvent => ({ type: 'delta', index, delta: { type: 'input_json_delta', partial_json: '"}' } }))
  return [...custom, ...noSignature(state)]
}

/**
 * Ends thoughts of an upstream that signs none with an empty signature: the AI SDK sends back only those whose
 * signature it has read.
 */
function noSignature({ count, unsigned, tail }: BlockState): readonly BlockEvent[] {
  if (!unsigned || !tail) return []
  return [{ type: 'delta', index: count - 1, delta: { type: 'signature_delta', signature: '' } }]
}

class BlockWriter implements Step, Blocks {
  readonly events: BlockEvent[] = []
  state: BlockState

  constructor(state: BlockState) {
    this.state = state
  }

  get count(): number {
    return this.state.count
  }

  get last(): string | undefined {
    return this.state.last
  }

  write(delta: Delta): void {
    const own = anthropicFields(delta.carried)
    const { delta: beside } = openaiFields(delta.carried)
    if (own.message_start) this.state = { ...this.state, tail: undefined }
    writeThoughts(this, delta, own)
    const details = readDetails(beside?.reasoning_details)
    const signed = details.length > 0 ? details : readThinkingBlocks(beside?.thinking_blocks)
    for (const { signature, data } of signed) {
      if (signature !== undefined) writeIn(this, 'thinking', { type: 'signature_delta', signature })
      if (data !== undefined) this.start({ type: 'redacted_thinking', data })
    }
    writeTexts(this, delta, own)
    if (delta.content) this.#keepTail(delta.content)
    for (const citation of toCitations(beside?.annotations, (start, end) => this.#quote(start, end)))
      writeIn(this, 'text', { type: 'citations_delta', citation })
    writeCalls(this, delta, own)
  }

  placeOf(call: number): number | undefined {
    return this.state.calls.get(call)
  }

  start(block: Fields, { overlaps = false }: AnthropicCarried = {}): void {
    if (!overlaps) this.events.push(...noSignature(this.state))
    const index = this.state.count
    this.state = { ...this.state, count: index + 1, last: String(block.type), unsigned: false }
    this.events.push({ type: 'start', index, block, overlaps })
  }

  startCall({ index, id = '', function: called, custom, carried }: ToolCallDelta, own: AnthropicCarried): number {
    const place = this.state.count
    const block = own.content_block?.type === 'tool_use' ? own.content_block : undefined
    const name = called?.name ?? custom?.name ?? ''
    this.start(block ?? { type: 'tool_use', id: signedId(id, openaiCallFields(carried)), name, input: {} }, own)
    this.state = { ...this.state, calls: this.state.calls.with(index, place) }
    if (custom) {
      this.state = { ...this.state, custom: this.state.custom.with(place, true) }
      writeJson(this, place, '{"input":"')
    }
    return place
  }

  push(index: number, delta: Fields): void {
    this.events.push({ type: 'delta', index, delta })
    if (delta.type === 'thinking_delta') this.#sign(index, true)
    else if (delta.type === 'signature_delta') this.#sign(index, false)
  }

  #sign(index: number, unsigned: boolean): void {
    if (index === this.state.count - 1 && unsigned !== this.state.unsigned) this.state = { ...this.state, unsigned }
  }

  #keepTail(text: string): void {
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
}
