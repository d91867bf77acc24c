// The events that a log stores: what each says, what they add up to, and how two of them merge.

import type { CallCarried, Carried } from '../wires/carried.ts'
import { isRecord } from '../wires/fields.ts'

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

/**
 * The start of a tool call has an `id` and a name; later deltas have only more `arguments`, or more `input` of a custom
 * tool, whose input is free text.
 */
export interface ToolCallDelta {
  index: number
  id?: string
  type?: 'function' | 'custom'
  function?: { name?: string; arguments?: string }
  custom?: { name?: string; input?: string }
  /** Fields that are kept but not modelled; some providers want them back. */
  carried?: CallCarried
}

/** The end of a stream: exactly one, and always the last event. */
export interface Done {
  type: 'done'
  finish_reason: FinishReason
  usage?: Usage
  /** In the currency of the configured prices; absent when there is none for this answer. */
  cost?: number
  error?: StreamError
  model?: string
  provider?: string
  /** Unmodelled fields of the end, such as the error object that the upstream sent, by their wire. */
  carried?: Carried
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
  /** The gateway counted tokens that the upstream did not report. */
  estimated?: boolean
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

/** What a choice's deltas add up to. */
export interface Message {
  role: 'assistant'
  content: string | null
  reasoning?: string
  refusal?: string
  /** In the order of their indexes. */
  tool_calls?: ToolCall[]
  carried?: Carried
}

export type ToolCall = FunctionCall | CustomCall

export interface FunctionCall {
  id: string
  type: 'function'
  function: { name: string; arguments: string }
  carried?: CallCarried
}

/** A call of a custom tool, whose input is free text. */
export interface CustomCall {
  id: string
  type: 'custom'
  custom: { name: string; input: string }
  carried?: CallCarried
}

/**
 * One delta that says what `a` and then `b` say, or `undefined` when they must stay apart: of different kinds or
 * choices, or either one holds a role, carried fields, or the start of a tool call.
 */
export function mergeDeltas(a: Delta, b: Delta): Delta | undefined {
  if (a.index !== b.index || isSolitary(a) || isSolitary(b)) return undefined
  if (a.content !== undefined && b.content !== undefined) return { ...a, content: a.content + b.content }
  if (a.reasoning !== undefined && b.reasoning !== undefined) return { ...a, reasoning: a.reasoning + b.reasoning }
  if (a.refusal !== undefined && b.refusal !== undefined) return { ...a, refusal: a.refusal + b.refusal }
  const call = mergeArguments(a.tool_calls?.[0], b.tool_calls?.[0])
  return call && { ...a, tool_calls: [call] }
}

/** Whether a delta is of more than one kind, or of a kind that cannot be concatenated. */
function isSolitary(delta: Delta): boolean {
  if (delta.role !== undefined || delta.carried !== undefined) return true
  const calls = delta.tool_calls
  if (calls !== undefined && (calls.length !== 1 || startsCall(calls[0]))) return true
  const kinds =
    (delta.content === undefined ? 0 : 1) +
    (delta.reasoning === undefined ? 0 : 1) +
    (delta.refusal === undefined ? 0 : 1) +
    (calls === undefined ? 0 : 1)
  return kinds !== 1
}

function startsCall(call: ToolCallDelta | undefined): boolean {
  return (
    call === undefined ||
    call.id !== undefined ||
    call.type !== undefined ||
    call.function?.name !== undefined ||
    call.custom?.name !== undefined ||
    call.carried !== undefined
  )
}

function mergeArguments(a: ToolCallDelta | undefined, b: ToolCallDelta | undefined): ToolCallDelta | undefined {
  if (!a || !b || a.index !== b.index || !a.custom !== !b.custom) return undefined
  if (a.custom) return { index: a.index, custom: { input: (a.custom.input ?? '') + (b.custom?.input ?? '') } }
  return { index: a.index, function: { arguments: (a.function?.arguments ?? '') + (b.function?.arguments ?? '') } }
}

/** Checks that the fields of each wire are an object; the wire's module checks the fields themselves. */
export function isCarried(value: unknown): value is Carried {
  return isRecord(value) && Object.values(value).every((fields) => fields === undefined || isRecord(fields))
}

export function isUsage(value: unknown): value is Usage {
  return (
    isRecord(value) && isCount(value.prompt_tokens) && isCount(value.completion_tokens) && isCount(value.total_tokens)
  )
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value < Infinity
}
