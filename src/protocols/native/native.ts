import { STATUS_CODES, type IncomingHttpHeaders } from 'node:http'
import { parseChat } from '../../chat-request.ts'
import type { SluiceError } from '../../errors.ts'
import { EVENT_STREAM, JSON_TYPE, negotiate } from '../../media-types.ts'
import { encodeComment, encodeEvent, encodeJson } from '../../sse/encode.ts'
import { readLastEventId } from '../../sse/last-event-id.ts'
import {
  isPlainText,
  type Done,
  type FinishReason,
  type StreamError,
  type StreamEvent,
  type Usage,
  type Message,
} from '../../stream/events.ts'
import type { Batch, StreamLog } from '../../stream/stream-log.ts'
import type { Encoded, Encoder, Mode, Protocol, RenderedError } from '../protocol.ts'
import { MessageCollector } from '../../wires/message-collector.ts'
import { readInSlices } from '../../stream/event-loop.ts'

/** Sluice's own wire format: named `delta` and `done` events whose ids are seqs. */
export const native: Protocol = {
  name: 'native',
  createPath: '/v1/chat',
  paths: ['/v1/chat', '/v1/streams'],
  parse: (body, headers) => ({ mode: readMode(headers), input: parseChat(body) }),
  readCursor: readLastEventId,
  heartbeat: encodeComment('heartbeat'),
  reconnects: true,
  encoder: () => nativeEncoder,
  renderWhole: takeSnapshot,
  wholeSaysEnd: true,
  renderSnapshot: takeSnapshot,
  renderCreated: ({ id, address, url }) => ({
    headers: { Location: address, 'Preference-Applied': 'respond-async' },
    body: { id, url },
  }),
  renderError: renderProblem,
}

/** The headers choose the mode of the answer. @throws SluiceError `not_acceptable` */
function readMode({ prefer = '', accept = '' }: IncomingHttpHeaders): Mode {
  // https://www.rfc-editor.org/rfc/rfc7240.html#section-4.1
  if (/(^|[,;\s])respond-async($|[,;\s])/i.test(String(prefer))) return 'background'
  return negotiate(accept, EVENT_STREAM, JSON_TYPE) === JSON_TYPE ? 'whole' : 'stream'
}

/** Stateless: a frame does not depend on earlier events. */
export const nativeEncoder: Encoder = {
  encode({ events }: Batch): Encoded {
    let text = ''
    for (const { seq, event } of events)
      text += isPlainText(event)
        ? // Same output, without an intermediate object: JSON contains no line breaks.
          `event: delta\ndata: {"content":${encodeJson(event.content)}}\nid: ${seq}\n\n`
        : encodeEvent({ id: seq, event: event.type, data: toData(event) })
    return { text, frames: events.length, next: nativeEncoder }
  },
}

/** Omits the type from the data: it is the frame's name. */
function toData(event: StreamEvent): Omit<StreamEvent, 'type'> {
  const { type: _, ...data } = event
  return data
}

/** RFC 9457. `code` is stable, `errors` names the wrong fields. */
function renderProblem({ code, status, message, faults, retryable }: SluiceError): RenderedError {
  return {
    type: 'application/problem+json',
    body: { title: STATUS_CODES[status], status, code, detail: message, retryable, ...(faults && { errors: faults }) },
  }
}

export type StreamStatus = 'running' | 'finished' | 'cancelled' | 'failed'

/** The state of a stream at one moment, as JSON. */
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
  /** Absent when there is no price. */
  cost?: number
  error: StreamError | null
}

/** Snapshot of the log now; excludes later appends. */
export async function takeSnapshot(log: StreamLog): Promise<Snapshot> {
  const { id, created, model, provider } = log.info
  const { done, last } = log
  const message = await collectMessage(log)
  return {
    id,
    status: done ? statusOf(done) : 'running',
    created: new Date(created).toISOString(),
    model: done?.model ?? model,
    provider: done?.provider ?? provider,
    last_event_id: last,
    message,
    finish_reason: done?.finish_reason ?? null,
    usage: done?.usage ?? null,
    ...(done?.cost !== undefined && { cost: done.cost }),
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

/** The message of one choice, up to the current end of the log. */
export async function collectMessage(log: StreamLog, choice = 0): Promise<Message> {
  const collector = new MessageCollector()
  await readInSlices(log, log.last, ({ events }) => {
    for (const { event } of events) if (event.type === 'delta' && (event.index ?? 0) === choice) collector.add(event)
  })
  return collector.message
}
