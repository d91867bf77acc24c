import { STATUS_CODES } from 'node:http'
import { chatRequestSchema, type ChatInput } from '../chat-request.ts'
import { SluiceError, toFaults } from '../errors.ts'
import { encodeEvent } from '../sse/encode.ts'
import type { Done, FinishReason, StreamError, StreamEvent, Usage } from '../stream/events.ts'
import { collectMessage, type Message } from '../stream/message.ts'
import type { Batch, StreamLog } from '../stream/stream-log.ts'
import type { Protocol } from './protocol.ts'

/** Sluice's own wire format: named `delta` and `done` events whose ids are seqs. */
export const native: Protocol = {
  name: 'native',
  encode: encodeBatch,
  renderError: renderProblem,
}

/** @throws SluiceError `invalid_request` with every fault in the body. */
export function parseChat(body: unknown): ChatInput {
  const result = chatRequestSchema.safeParse(body)
  if (result.success) return result.data
  const faults = toFaults(result.error.issues)
  throw new SluiceError('invalid_request', `The request is wrong in ${faults.length} place(s).`, { faults })
}

function encodeBatch({ events }: Batch): string {
  let frames = ''
  for (const { seq, event } of events) frames += encodeEvent({ id: seq, event: event.type, data: toData(event) })
  return frames
}

/** The event's name is on the frame, so it is left out of the data. */
function toData(event: StreamEvent): Omit<StreamEvent, 'type'> {
  const { type: _, ...data } = event
  return data
}

/** RFC 9457. `code` is stable, `errors` names every field at fault. */
function renderProblem({ code, status, message, faults, retryable }: SluiceError) {
  return {
    type: 'application/problem+json',
    body: { title: STATUS_CODES[status], status, code, detail: message, retryable, ...(faults && { errors: faults }) },
  }
}

export type StreamStatus = 'running' | 'finished' | 'cancelled' | 'failed'

/** A stream at one moment, as JSON. */
export interface Snapshot {
  id: string
  status: StreamStatus
  created: string
  model: string
  provider: string
  last_event_id: number
  message: Message
  finish_reason: FinishReason | null
  usage: Usage | null
  error: StreamError | null
}

export function takeSnapshot(log: StreamLog): Snapshot {
  const { id, created, model, provider } = log.info
  const { done } = log
  return {
    id,
    status: done ? statusOf(done) : 'running',
    created: new Date(created).toISOString(),
    model: done?.model ?? model,
    provider: done?.provider ?? provider,
    last_event_id: log.last,
    message: collectMessage(log),
    finish_reason: done?.finish_reason ?? null,
    usage: done?.usage ?? null,
    error: done?.error ?? null,
  }
}

function statusOf({ finish_reason }: Done): StreamStatus {
  switch (finish_reason) {
    case 'error':
      return 'failed'
    case 'cancelled':
      return 'cancelled'
    case 'stop':
    case 'length':
    case 'tool_calls':
    case 'content_filter':
      return 'finished'
  }
}
