import type { CallCarried, Carried } from '../wires/carried.ts'

/**
 * What a log stores. Names are those of OpenAI's Chat Completions where it has them.
 * The union is small on purpose: every protocol maps it with an exhaustive `switch`.
 */
export type StreamEvent = Delta | Done

/** A piece of the answer. Fields that are absent say nothing; an empty delta carries nothing at all. */
export interface Delta {
  type: 'delta'
  /** Which of several choices this belongs to; 0 when absent. */
  index?: number
  role?: 'assistant'
  content?: string
  reasoning?: string
  refusal?: string
  tool_calls?: ToolCallDelta[]
  /** Fields that are kept but not modelled (`logprobs`, `service_tier`, …), by their wire. */
  carried?: Carried
}

/** The start of a tool call has an `id` and a name; later deltas have only more `arguments`. */
export interface ToolCallDelta {
  index: number
  id?: string
  type?: 'function'
  function?: { name?: string; arguments?: string }
  /** Fields that are kept but not modelled; some providers want them back. */
  carried?: CallCarried
}

/** The end of a stream: exactly one, and always the last event. */
export interface Done {
  type: 'done'
  finish_reason: FinishReason
  usage?: Usage
  error?: StreamError
  model?: string
  provider?: string
}

export const FINISH_REASONS = ['stop', 'length', 'tool_calls', 'content_filter', 'cancelled', 'error'] as const
export type FinishReason = (typeof FINISH_REASONS)[number]

export interface StreamError {
  code: string
  message: string
  retryable: boolean
}

/** Token counts; details (cached, reasoning, …) travel as the provider gave them. */
export interface Usage {
  prompt_tokens: number
  completion_tokens: number
  total_tokens: number
  [detail: string]: unknown
}

/** An event with its place in the log. After a merge: the place of the last event that went in. */
export interface SequencedEvent<E extends StreamEvent = StreamEvent> {
  seq: number
  event: E
}

export type PlainField = 'content' | 'reasoning'

/** The field of a plain-text event (a text of the first choice and nothing else), as nearly all events are. */
export function plainField(event: StreamEvent): PlainField | undefined {
  if (
    event.type === 'done' ||
    event.index !== undefined ||
    event.role !== undefined ||
    event.refusal !== undefined ||
    event.tool_calls !== undefined ||
    event.carried !== undefined
  )
    return undefined
  if (event.content === undefined) return event.reasoning === undefined ? undefined : 'reasoning'
  return event.reasoning === undefined ? 'content' : undefined
}

export function isPlainText(event: StreamEvent): event is Delta & { content: string } {
  return plainField(event) === 'content'
}

/** The reverse of `plainField`. */
export function toDelta(field: PlainField, text: string): Delta {
  return field === 'content' ? { type: 'delta', content: text } : { type: 'delta', reasoning: text }
}
