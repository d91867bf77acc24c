import { failureOf } from '../../errors.ts'
import { recordOrEmpty, type Fields } from '../../json.ts'
import type { Delta, Done, StreamEvent } from '../../stream/events.ts'
import type { StreamInfo } from '../../stream/stream-log.ts'
import { anthropicFields, type AnthropicCarried } from '../../wires/anthropic.ts'
import { endBlocks, NO_BLOCKS, toBlockEvents, type BlockEvent, type BlockState } from '../../wires/block-events.ts'
import { reportedUsage } from '../reported-usage.ts'
import { NO_USAGE, toAnthropicUsage } from '../../wires/anthropic-usage.ts'
import type { Carried } from '../../wires/carried.ts'
import { openaiFields } from '../../wires/openai.ts'
import { writeFirstChoice } from '../first-choice.ts'
import { BlockOrder, IN_ORDER, type BlockFrame, type OrderState } from './block-order.ts'
import { toErrorObject, type ErrorObject } from './errors.ts'

/** An event of a Messages stream: https://platform.claude.com/docs/en/build-with-claude/streaming */
export type MessageEvent =
  | { type: 'message_start'; message: Fields }
  | BlockFrame
  | { type: 'message_delta'; delta: Fields; usage: Fields }
  | { type: 'message_stop' }
  | { type: 'error'; error: ErrorObject }

/** Encoder state: everything that events depend on besides the log's event. */
export interface MessageState {
  readonly info: StreamInfo
  readonly started: boolean
  /** Fields of the upstream's `message_start`, when Anthropic is the provider. */
  readonly own?: Fields | undefined
  readonly blocks: BlockState
  /** Undefined for whole answers, in which blocks may grow in any order. */
  readonly order: OrderState | undefined
  /** Carried fields about the end of the message. */
  readonly end: AnthropicCarried
}

export function initialState(info: StreamInfo, { inOrder = true } = {}): MessageState {
  return { info, started: false, blocks: NO_BLOCKS, order: inOrder ? IN_ORDER : undefined, end: {} }
}

/** Converts an event of a log to Messages events. */
export function toMessageEvents(
  event: StreamEvent,
  state: MessageState,
): { events: readonly MessageEvent[]; state: MessageState } {
  const writer = new EventWriter(state)
  // An error was the last event.
  if (state.order?.broken) return writer
  writeFirstChoice(event, writer)
  return writer
}

class EventWriter {
  readonly events: MessageEvent[] = []
  state: MessageState

  constructor(state: MessageState) {
    this.state = state
  }

  writeDelta(delta: Delta): void {
    if (!this.state.started) this.#start(delta.carried)
    const step = toBlockEvents(delta, this.state.blocks)
    this.state = { ...this.state, blocks: step.state }
    this.#writeBlocks(step.events)
    const own = anthropicFields(delta.carried)
    if (own.stop_reason !== undefined || own.message_delta !== undefined) this.state = { ...this.state, end: own }
  }

  writeDone(done: Done): void {
    const outcome = outcomeOf(done)
    if (typeof outcome !== 'string') {
      this.#writeEarlyEnd(done)
      // Leave the block open and omit `message_stop`, so that no SDK takes the message for complete, or runs a call.
      this.events.push({ type: 'error', error: outcome })
      return
    }
    if (!this.state.started) this.#start(undefined)
    this.#writeBlocks(endBlocks(this.state.blocks, done.finish_reason === 'length'), true)
    if (this.state.order?.broken) return
    const { own, blocks, end } = this.state
    const { delta, ...beside } = recordOrEmpty(end.message_delta)
    // OpenAI reports `stop` when the caller forced the tool call.
    const stop_reason = !own && outcome === 'end_turn' && blocks.calls.size > 0 ? 'tool_use' : outcome
    this.events.push(
      {
        type: 'message_delta',
        delta: {
          stop_reason: end.stop_reason === undefined ? stop_reason : end.stop_reason,
          stop_sequence: end.stop_sequence ?? null,
          ...(own?.stop_details === null && { stop_details: null }),
          ...recordOrEmpty(delta),
        },
        ...beside,
        usage: usageOf(done),
      },
      { type: 'message_stop' },
    )
  }

  /** The upstream failed after it had said how its message ended. */
  #writeEarlyEnd(done: Done): void {
    const { stop_reason, stop_sequence = null } = anthropicFields(done.carried)
    if (stop_reason === undefined || !this.state.started) return
    this.#writeBlocks(endBlocks(this.state.blocks, false), true)
    if (this.state.order?.broken) return
    this.events.push({ type: 'message_delta', delta: { stop_reason, stop_sequence }, usage: usageOf(done) })
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
      ...own,
      // SDKs raise without counts.
      usage: { ...NO_USAGE, ...recordOrEmpty(own?.usage) },
    }
    this.state = { ...this.state, started: true, own }
    this.events.push({ type: 'message_start', message })
  }

  #writeBlocks(events: readonly BlockEvent[], last = false): void {
    if (!this.state.order) {
      for (const event of events) this.events.push(toFrame(event))
      return
    }
    if (events.length === 0 && !last) return
    const order = new BlockOrder(this.state.order)
    for (const event of events) order.push(event)
    if (last) order.end()
    this.state = { ...this.state, order: order.state }
    this.events.push(...order.frames)
    if (order.state.broken) this.events.push({ type: 'error', error: TOO_LATE })
  }
}

/** SDKs raise without the output tokens. */
function usageOf(done: Done): Fields {
  const { finish_reason, usage } = done
  // Of an answer that is complete, the upstream's figures only.
  const isComplete = finish_reason !== 'error' && finish_reason !== 'cancelled'
  const own = anthropicFields(done.carried).usage
  return { output_tokens: 0, ...(own ?? toAnthropicUsage(isComplete ? reportedUsage(done) : usage)) }
}

const TOO_LATE: ErrorObject = {
  type: 'api_error',
  message: 'The upstream sent more of a content block after the block had to be closed.',
}

function toFrame(event: BlockEvent): BlockFrame {
  return event.type === 'start'
    ? { type: 'content_block_start', index: event.index, content_block: event.block }
    : { type: 'content_block_delta', index: event.index, delta: event.delta }
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
