import { failureOf } from '../../errors.ts'
import { recordOrEmpty, type Fields } from '../../json.ts'
import type { Delta, Done, StreamEvent, ToolCallDelta, Usage } from '../../stream/events.ts'
import type { StreamInfo } from '../../stream/stream-log.ts'
import { anthropicFields, type AnthropicCarried } from '../../wires/anthropic.ts'
import type { Carried } from '../../wires/carried.ts'
import { openaiFields } from '../../wires/openai.ts'
import { AppendMap } from '../append-map.ts'
import { toErrorObject, type ErrorObject } from './errors.ts'

/** An event of a Messages stream: https://platform.claude.com/docs/en/build-with-claude/streaming */
export type MessageEvent =
  | { type: 'message_start'; message: Fields }
  | { type: 'content_block_start'; index: number; content_block: Fields }
  | { type: 'content_block_delta'; index: number; delta: Fields }
  | { type: 'content_block_stop'; index: number }
  | { type: 'message_delta'; delta: Fields; usage: Fields }
  | { type: 'message_stop' }
  | { type: 'error'; error: ErrorObject }

/** Encoder state: everything that events depend on besides the log's event. */
export interface MessageState {
  readonly info: StreamInfo
  readonly started: boolean
  /** Fields of the upstream's `message_start`, when Anthropic is the provider. */
  readonly own?: Fields | undefined
  /** Number of blocks so far; the last one is open when `open` has its type. */
  readonly blocks: number
  readonly open?: string | undefined
  /** Block index of each tool call. */
  readonly calls: AppendMap<number, number>
  /** Carried fields about the end of the message. */
  readonly end: AnthropicCarried
}

export function initialState(info: StreamInfo): MessageState {
  return { info, started: false, blocks: 0, calls: new AppendMap(), end: {} }
}

/**
 * Converts events of a log to Messages events; `wires/anthropic.ts` explains carried fields. A delta continues the open
 * block if the type matches, and otherwise starts a new one. Only the first choice is supported: requests for several
 * are refused.
 */
export function toMessageEvents(
  event: StreamEvent,
  state: MessageState,
): { events: readonly MessageEvent[]; state: MessageState } {
  const writer = new EventWriter(state)
  switch (event.type) {
    case 'delta':
      if ((event.index ?? 0) === 0) writer.writeDelta(event)
      break
    case 'done':
      writer.writeDone(event)
  }
  return writer
}

/** The start of a block that a delta implies. */
const EMPTY_BLOCKS = {
  text: { type: 'text', text: '' },
  thinking: { type: 'thinking', thinking: '', signature: '' },
}

class EventWriter {
  readonly events: MessageEvent[] = []
  state: MessageState

  constructor(state: MessageState) {
    this.state = state
  }

  writeDelta({ content, reasoning, refusal, tool_calls = [], carried }: Delta): void {
    if (!this.state.started) this.#start(carried)
    const own = anthropicFields(carried)
    const block = own.content_block
    if (block && block.type !== 'tool_use') this.#open(block)
    if (own.redacted_thinking !== undefined) this.#open({ type: 'redacted_thinking', data: own.redacted_thinking })
    if (reasoning) this.#write('thinking', { type: 'thinking_delta', thinking: reasoning })
    if (own.signature !== undefined) this.#write('thinking', { type: 'signature_delta', signature: own.signature })
    if (content) this.#write('text', { type: 'text_delta', text: content })
    if (refusal) this.#write('text', { type: 'text_delta', text: refusal })
    if (own.citation) this.#write('text', { type: 'citations_delta', citation: own.citation })
    for (const call of tool_calls) this.#writeToolCall(call, block)
    if (own.content_block_delta && this.state.open !== undefined)
      this.#push(this.state.blocks - 1, own.content_block_delta)
    if (own.stop_reason !== undefined || own.message_delta !== undefined) this.state = { ...this.state, end: own }
  }

  writeDone(done: Done): void {
    const outcome = outcomeOf(done)
    if (typeof outcome !== 'string') {
      // Leave the block open and omit `message_stop`, so that no SDK takes the message for complete.
      this.events.push({ type: 'error', error: outcome })
      return
    }
    if (!this.state.started) this.#start(undefined)
    this.#close()
    const { own, calls, end } = this.state
    const { delta, ...beside } = recordOrEmpty(end.message_delta)
    // OpenAI reports `stop` when the caller forced the tool call.
    const stop_reason = !own && outcome === 'end_turn' && calls.size > 0 ? 'tool_use' : outcome
    this.events.push(
      {
        type: 'message_delta',
        delta: {
          stop_reason: end.stop_reason ?? stop_reason,
          stop_sequence: end.stop_sequence ?? null,
          ...(own?.stop_details === null && { stop_details: null }),
          ...recordOrEmpty(delta),
        },
        ...beside,
        usage: toUsage(done.usage),
      },
      { type: 'message_stop' },
    )
  }

  #start(carried: Carried | undefined): void {
    const { id, model = openaiFields(carried).chunk?.model, message_start: own } = anthropicFields(carried)
    const message = {
      // Ids of other providers have other formats.
      id: own && id !== undefined ? id : `msg_${this.state.info.id}`,
      type: 'message',
      role: 'assistant',
      model: typeof model === 'string' ? model : this.state.info.model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: NO_USAGE,
      ...own,
    }
    this.state = { ...this.state, started: true, own }
    this.events.push({ type: 'message_start', message })
  }

  #open(content_block: Fields): void {
    this.#close()
    const index = this.state.blocks
    this.state = { ...this.state, blocks: index + 1, open: String(content_block.type) }
    this.events.push({ type: 'content_block_start', index, content_block })
  }

  #close(): void {
    if (this.state.open === undefined) return
    this.events.push({ type: 'content_block_stop', index: this.state.blocks - 1 })
    this.state = { ...this.state, open: undefined }
  }

  #write(type: keyof typeof EMPTY_BLOCKS, delta: Fields): void {
    if (this.state.open !== type) this.#open(EMPTY_BLOCKS[type])
    this.#push(this.state.blocks - 1, delta)
  }

  #push(index: number, delta: Fields): void {
    this.events.push({ type: 'content_block_delta', index, delta })
  }

  /** Arguments go to their call's block even if it is not the last: SDKs accumulate by index. */
  #writeToolCall({ index, id = '', function: called = {} }: ToolCallDelta, block: Fields | undefined): void {
    let place = this.state.calls.get(index)
    if (place === undefined) {
      place = this.state.blocks
      this.#open(block ?? { type: 'tool_use', id, name: called.name ?? '', input: {} })
      this.state = { ...this.state, calls: this.state.calls.with(index, place) }
    }
    if (called.arguments) this.#push(place, { type: 'input_json_delta', partial_json: called.arguments })
  }
}

/** The stop reason for a finish reason, or the error of a failed stream. */
function outcomeOf(done: Done): string | ErrorObject {
  switch (done.finish_reason) {
    case 'stop':
      return 'end_turn'
    case 'length':
      return 'max_tokens'
    case 'tool_calls':
      return 'tool_use'
    case 'content_filter':
      return 'refusal'
    case 'cancelled':
    case 'error':
      return toErrorObject(failureOf(done), done.carried)
  }
}

/** Counts at the start, before any are known. */
const NO_USAGE: Fields = { input_tokens: 0, output_tokens: 0 }

/**
 * Converts counts to Anthropic's names: tokens read from and written to the prompt cache are apart from the other
 * input. Details without an OpenAI name are kept as the provider sent them.
 * https://platform.claude.com/docs/en/api/messages (`usage`)
 */
export function toUsage(usage: Usage | undefined): Fields {
  if (!usage) return NO_USAGE
  const { prompt_tokens, completion_tokens, total_tokens: _, ...details } = usage
  const { prompt_tokens_details, completion_tokens_details, ...own } = details
  const cached = toCount(own.cache_read_input_tokens ?? recordOrEmpty(prompt_tokens_details).cached_tokens)
  const reasoning = toCount(recordOrEmpty(completion_tokens_details).reasoning_tokens)
  return {
    input_tokens: Math.max(0, prompt_tokens - toCount(own.cache_creation_input_tokens) - cached),
    output_tokens: completion_tokens,
    ...(cached > 0 && { cache_read_input_tokens: cached }),
    ...(reasoning > 0 && { output_tokens_details: { thinking_tokens: reasoning } }),
    ...own,
  }
}

function toCount(value: unknown): number {
  return typeof value === 'number' ? value : 0
}
