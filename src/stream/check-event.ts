// An event of a provider, before it is stored: whether it is valid, and how much memory it will take.

import { SluiceError } from '../errors.ts'
import { isRecord, countJson, VALUE_BYTES } from '../json.ts'
import { FINISH_REASONS, isCarried, isUsage, plainField, type StreamEvent } from './events.ts'

const FINISH_REASON_SET: ReadonlySet<unknown> = new Set(FINISH_REASONS)

/**
 * Checks an event from a provider before it is stored, since providers may be third-party code. Checks only the types
 * of fields that are read later. Written by hand, as it runs for every token: a zod schema costs forty times as much.
 *
 * @throws SluiceError `provider_invalid_event`
 */
export function checkEvent(value: StreamEvent): StreamEvent {
  checkFields(value)
  return value
}

function checkFields(event: unknown): void {
  if (typeof event !== 'object' || event === null || !('type' in event)) throw invalid('it is not an event')
  const fields: Partial<Record<string, unknown>> = event
  if (fields.type === 'delta') {
    if (!isText(fields.content)) throw invalid('`content` is not a string')
    if (!isText(fields.reasoning)) throw invalid('`reasoning` is not a string')
    if (!isText(fields.refusal)) throw invalid('`refusal` is not a string')
    if (fields.index !== undefined && !isIndex(fields.index)) throw invalid('`index` is not a whole number')
    if (fields.role !== undefined && fields.role !== 'assistant') throw invalid('`role` is not "assistant"')
    if (fields.tool_calls !== undefined && !isToolCalls(fields.tool_calls)) throw invalid('`tool_calls` is malformed')
    if (fields.carried !== undefined && !isCarried(fields.carried)) throw invalid('`carried` is malformed')
  } else if (fields.type === 'done') {
    if (!FINISH_REASON_SET.has(fields.finish_reason)) throw invalid('`finish_reason` is unknown')
    if (fields.usage !== undefined && !isUsage(fields.usage)) throw invalid('`usage` is malformed')
    if (fields.error !== undefined && !isStreamError(fields.error)) throw invalid('`error` is malformed')
    if (!isText(fields.model)) throw invalid('`model` is not a string')
    if (!isText(fields.provider)) throw invalid('`provider` is not a string')
    if (fields.carried !== undefined && !isCarried(fields.carried)) throw invalid('`carried` is malformed')
  } else {
    throw invalid('its `type` is unknown')
  }
}

/** Whether `checkEvent` would accept it. */
export function isEvent(value: unknown): value is StreamEvent {
  try {
    checkFields(value)
    return true
  } catch {
    return false
  }
}

function invalid(why: string): SluiceError {
  return new SluiceError('provider_invalid_event', `The provider yielded something that is no event: ${why}.`)
}

function isText(value: unknown): boolean {
  return value === undefined || typeof value === 'string'
}

function isIndex(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function isStreamError(value: unknown): boolean {
  return (
    isRecord(value) &&
    typeof value.code === 'string' &&
    typeof value.message === 'string' &&
    typeof value.retryable === 'boolean'
  )
}

function isToolCalls(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every(
      (call: unknown) =>
        isRecord(call) &&
        isIndex(call.index) &&
        isText(call.id) &&
        (call.carried === undefined || isCarried(call.carried)) &&
        (call.function === undefined ||
          (isRecord(call.function) && isText(call.function.name) && isText(call.function.arguments))) &&
        (call.custom === undefined || (isRecord(call.custom) && isText(call.custom.name) && isText(call.custom.input))),
    )
  )
}

/** Overhead of an event beside its text, and of any other event beside its JSON. */
const TEXT_BYTES = 4
const EVENT_BYTES = 96
/** `EVENT_BYTES` covers this many values and names: those of a piece of a tool call. */
const EVENT_VALUES = 12
/** In characters of JSON: longer events are kept as JSON, whose size is known exactly. */
const WRITTEN_FROM = 256

/** A `done` is kept even when the store is full, so it must be small. */
const MAX_DONE_BYTES = 64 * 1024

export interface EventSize {
  bytes: number
  /** Present when the event is to be kept as JSON. */
  json?: string
}

/** @throws SluiceError `provider_invalid_event` when it is a `done` that is too large */
export function measureEvent(event: StreamEvent): EventSize {
  const field = plainField(event)
  const text = field && event.type === 'delta' ? event[field] : undefined
  if (text !== undefined) return { bytes: TEXT_BYTES + Buffer.byteLength(text) }
  const json = JSON.stringify(event)
  const bytes = EVENT_BYTES + Buffer.byteLength(json)
  if (event.type === 'done') {
    if (bytes <= MAX_DONE_BYTES) return { bytes }
    throw new SluiceError('provider_invalid_event', `The end of the stream is larger than ${MAX_DONE_BYTES} bytes.`)
  }
  if (json.length >= WRITTEN_FROM) return { bytes, json }
  return { bytes: bytes + VALUE_BYTES * Math.max(0, countJson(json) - EVENT_VALUES) }
}
