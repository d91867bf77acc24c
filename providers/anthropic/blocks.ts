import { isRecord, type Fields } from '../../src/json.ts'
import type { AnthropicCarried } from '../../src/wires/anthropic.ts'
import type { Delta } from '../provider.ts'
import { MAX_TOOL_CALLS, toText } from '../received-fields.ts'
import { sentInvalid, sentOverLimit } from '../upstream-errors.ts'
import {
  EMPTY_BLOCKS,
  isImplied,
  isUnnamed,
  saysNothing,
  toIndex,
  toInputJson,
  toOpenBlock,
  toolUseId,
  toTextFields,
  type OpenBlock,
  type TextType,
} from './open-block.ts'

/** Blocks that started and have not stopped. */
const MAX_OPEN_BLOCKS = 1024

/** Converts the content blocks of one message to deltas. The upstream tells blocks apart by index; they may overlap. */
export class BlockReader {
  readonly #byIndex = new Map<number, OpenBlock>()
  /** The block that started last, and the block of the last delta. */
  #newest: OpenBlock | undefined
  #last: OpenBlock | undefined
  #places = 0
  #started = 0
  #toolCalls = 0

  get started(): boolean {
    return this.#started > 0
  }

  get hasCalls(): boolean {
    return this.#toolCalls > 0
  }

  start(block: Fields, index: unknown): Delta[] {
    const { type } = block
    if (typeof type !== 'string') throw sentInvalid('a content block without a type')
    const key = toIndex(index) ?? this.#started
    const known = this.#byIndex.get(key)
    if (known && isUnnamed(known) && type === 'tool_use') {
      known.start = { ...known.start, ...block }
      return this.#startCall(known)
    }
    // A server may reuse an index without a stop.
    const before = [...(known && !known.stopped ? this.#stop(known) : []), ...this.#settle()]
    const { stopped = true, type: previous } = this.#newest ?? {}
    const overlaps = !stopped && previous !== 'tool_use'
    for (const [each, { stopped: isOver }] of this.#byIndex) if (isOver) this.#byIndex.delete(each)
    if (this.#byIndex.size >= MAX_OPEN_BLOCKS) throw sentOverLimit(`more than ${MAX_OPEN_BLOCKS} open content blocks`)
    const open = toOpenBlock(type, block)
    this.#byIndex.set(key, open)
    this.#newest = open
    this.#started += 1
    return [...before, ...this.#begin(open, overlaps)]
  }

  read(delta: Fields, index: unknown): Delta[] {
    const at = toIndex(index)
    const block = at === undefined ? this.#newest : this.#byIndex.get(at)
    if (!block) {
      if (saysNothing(delta)) return []
      throw sentInvalid('a delta of a block that is not open')
    }
    const { type, text, thinking, signature, citation, partial_json } = delta
    const isModelled = block.type === 'text' || block.type === 'thinking' || block.type === 'tool_use'
    // SDKs pass over a delta without a type.
    if (typeof type !== 'string') return []
    switch (isModelled ? type : '') {
      case 'text_delta':
        if (text) return this.#readText(block, 'text', { content: toText(text) })
        break
      case 'thinking_delta':
        if (thinking) return this.#readText(block, 'thinking', { reasoning: toText(thinking) })
        break
      case 'signature_delta':
        // llama.cpp's signatures are empty, and may come after later blocks have begun.
        if (typeof signature === 'string' && (signature || block === this.#last))
          return this.#readInText(block, 'thinking', { signature })
        break
      case 'citations_delta':
        if (isRecord(citation)) return this.#readInText(block, 'text', { citation })
        break
      case 'input_json_delta':
        // SDKs pass over the input of a block that takes none.
        if (block.type !== 'tool_use') return []
        if (partial_json && block.stopped) throw sentInvalid('more of a tool call after its end')
        if (partial_json) return this.#readArguments(block, toText(partial_json))
    }
    if (saysNothing(delta)) return []
    if (isUnnamed(block)) throw sentInvalid('a tool call without a name')
    return [...this.#announce(block), this.#within(block, { content_block_delta: delta })]
  }

  stop(index: unknown): Delta[] {
    const at = toIndex(index)
    const block = at === undefined ? this.#newest : this.#byIndex.get(at)
    return block && !block.stopped ? this.#stop(block) : []
  }

  /** @param cut whether the message broke off: its last call is left without its end */
  end(cut: boolean): Delta[] {
    const open = [...this.#byIndex.values()].filter(({ stopped }) => !stopped)
    return open.flatMap((block) =>
      cut && block === this.#newest && block.type === 'tool_use' ? [] : this.#stop(block),
    )
  }

  #stop(block: OpenBlock): Delta[] {
    if (isUnnamed(block)) throw sentInvalid('a tool call without a name')
    block.stopped = true
    if (block.call !== undefined && !block.hasArguments)
      return this.#readArguments(block, toInputJson(block.start.input))
    return this.#announce(block)
  }

  /** Before another block starts: announces the newest, in its place, and sends an input that came with its start. */
  #settle(): Delta[] {
    const block = this.#newest
    if (!block || block.stopped) return []
    const { input } = block.start
    if (block.call === undefined) return this.#announce(block)
    const json = toInputJson(input)
    return block.hasArguments || json === '{}' ? [] : this.#readArguments(block, json)
  }

  #begin(open: OpenBlock, overlaps: boolean): Delta[] {
    switch (open.type) {
      case 'text':
      case 'thinking':
        return this.#startText(open, open.type, overlaps)
      case 'tool_use':
        return isUnnamed(open) ? [] : this.#startCall(open, overlaps)
      case 'redacted_thinking':
        if (typeof open.start.data === 'string' && Object.keys(open.start).length === 2) {
          this.#place(open)
          return [carry({ redacted_thinking: open.start.data, ...(overlaps && { overlaps }) })]
        }
    }
    return this.#announce(open, overlaps)
  }

  /** What the start of a text contains is passed on as deltas. */
  #startText(open: OpenBlock, type: TextType, overlaps: boolean): Delta[] {
    const { [type]: text, signature, citations, ...rest } = open.start
    const isSigned = type === 'thinking' && typeof signature === 'string' && signature !== ''
    const cited = type === 'text' && Array.isArray(citations) ? citations.filter(isRecord) : []
    open.start = {
      ...rest,
      [type]: '',
      ...(signature !== undefined && { signature: isSigned ? '' : signature }),
      ...(citations !== undefined && { citations: cited.length > 0 ? [] : citations }),
    }
    const isTold = overlaps || type === this.#last?.type || !isImplied(open.start)
    const deltas = isTold ? this.#announce(open, overlaps) : []
    if (text) deltas.push(...this.#readText(open, type, toTextFields(type, toText(text))))
    for (const citation of cited) deltas.push(...this.#readInText(open, type, { citation }))
    if (isSigned) deltas.push(...this.#readInText(open, type, { signature }))
    return deltas
  }

  /** The name of a call may come late; some servers send no id. */
  #startCall(open: OpenBlock, overlaps = false): Delta[] {
    const { type: _, id: given, name, input: __, ...rest } = open.start
    if (isUnnamed(open)) return []
    const id = typeof given === 'string' && given !== '' ? given : toolUseId()
    open.call = this.#toolCalls
    this.#toolCalls += 1
    if (this.#toolCalls > MAX_TOOL_CALLS) throw sentOverLimit(`more than ${MAX_TOOL_CALLS} tool calls`)
    this.#place(open)
    const isMore = Object.keys(rest).length > 0
    const content_block = { ...open.start, id, input: {} }
    const start: Delta = {
      ...(isMore || overlaps ? carry({ content_block, ...(overlaps && { overlaps }) }) : { type: 'delta' }),
      tool_calls: [{ index: open.call, id, type: 'function', function: { name: String(name), arguments: '' } }],
    }
    return open.heldJson === '' ? [start] : [start, ...this.#readArguments(open, open.heldJson)]
  }

  #readArguments(block: OpenBlock, json: string): Delta[] {
    if (block.call === undefined) {
      block.heldJson += json
      return []
    }
    block.hasArguments = true
    return [{ type: 'delta', tool_calls: [{ index: block.call, function: { arguments: json } }] }]
  }

  /** A text in a block of another kind becomes a block of its own. */
  #readText(block: OpenBlock, type: TextType, fields: Pick<Delta, 'content' | 'reasoning'>): Delta[] {
    if (block.type === type) return this.#continue(block, fields)
    const known = block.inner
    const inner = known?.type === type && known === this.#last ? known : toOpenBlock(type, EMPTY_BLOCKS[type])
    block.inner = inner
    if (block.type !== 'tool_use') block.interrupted ||= block.place !== undefined
    if (block.type !== 'tool_use') block.place = undefined
    return this.#continue(inner, fields)
  }

  /** A signature or a citation, which SDKs pass over in a block of another kind. */
  #readInText(block: OpenBlock, type: TextType, fields: AnthropicCarried): Delta[] {
    const target = block.type === type ? block : block.inner
    return target?.type === type ? this.#continue(target, carry(fields)) : []
  }

  /** Implies the block, if its type tells it from the last. */
  #continue(block: OpenBlock, fields: Omit<Delta, 'type'>): Delta[] {
    if (block.place !== undefined) {
      if (block === this.#last) return [{ type: 'delta', ...fields }]
      const anthropic = { ...fields.carried?.anthropic, block: block.place }
      return [{ type: 'delta', ...fields, carried: { anthropic } }]
    }
    if (block.interrupted) block.start = EMPTY_BLOCKS[block.type === 'text' ? 'text' : 'thinking']
    const before =
      this.#last?.type === block.type || !isImplied(block.start) ? [carry({ content_block: block.start })] : []
    this.#place(block)
    return [...before, { type: 'delta', ...fields }]
  }

  #within(block: OpenBlock, fields: AnthropicCarried): Delta {
    return carry({ ...fields, ...(block !== this.#last && block.place !== undefined && { block: block.place }) })
  }

  #announce(block: OpenBlock, overlaps = false): Delta[] {
    if (block.place !== undefined || block.interrupted) return []
    this.#place(block)
    return [carry({ content_block: block.start, ...(overlaps && { overlaps }) })]
  }

  #place(block: OpenBlock): void {
    if (block.place !== undefined) return
    block.place = this.#places
    this.#places += 1
    this.#last = block
  }
}

function carry(anthropic: AnthropicCarried): Delta {
  return { type: 'delta', carried: { anthropic } }
}
