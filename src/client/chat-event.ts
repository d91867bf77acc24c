import type { Delta, Done, FinishReason, StreamEvent } from '../stream/events.ts'
import { isRecord, type Fields } from '../wires/records.ts'
import { invalidResponse, parseRecord } from './client-error.ts'
import type { Frame } from './frame-decoder.ts'

/** An event with its seq; for merged deltas, the seq of the last one. */
export type ChatEvent = StreamEvent & { seq: number }

/** A copy: importing the gateway's list would bundle its code. A test compares them. */
const FINISH_REASONS: readonly unknown[] = [
  'content_filter',
  'cancelled',
  'error',
  'length',
  'stop',
  'tool_calls',
] satisfies FinishReason[]

const TEXT_FIELDS = ['content', 'reasoning', 'refusal'] satisfies (keyof Delta)[]

/**
 * Parses the event in a frame; `undefined` for an unknown name. Checks only the types of fields that are used later.
 *
 * @throws SluiceClientError `invalid_response`
 */
export function readEvent({ name, data, id }: Frame): ChatEvent | undefined {
  if (name !== 'delta' && name !== 'done') return undefined
  const seq = Number(id)
  const fields = parseRecord(data)
  if (seq > 0 && fields) {
    if (name === 'delta' && isDelta(fields)) return { ...fields, type: 'delta', seq }
    if (name === 'done' && isDone(fields)) return { ...fields, type: 'done', seq }
  }
  throw invalidResponse(`Invalid frame: ${data.slice(0, 200)}`)
}

function isDelta(fields: Fields): fields is Omit<Delta, 'type'> {
  const { index = 0, tool_calls: calls = [] } = fields
  return (
    isIndex(index) &&
    TEXT_FIELDS.every((name) => fields[name] === undefined || typeof fields[name] === 'string') &&
    Array.isArray(calls) &&
    calls.every((call) => isRecord(call) && isIndex(call.index))
  )
}

function isIndex(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function isDone(fields: Fields): fields is Omit<Done, 'type'> {
  const { finish_reason, error = {} } = fields
  return FINISH_REASONS.includes(finish_reason) && isRecord(error)
}

/** The text that an event adds to the first choice; empty when there is none. */
export function textOf(event: ChatEvent): string {
  return (event.type === 'delta' && !event.index && event.content) || ''
}
