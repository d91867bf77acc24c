import { SluiceError } from '../errors.ts'
import { countJson, VALUE_BYTES } from '../json.ts'
import { plainField, type StreamEvent } from './events.ts'

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
