import { encodeEvent } from '../../sse/encode.ts'
import type { Batch, StreamInfo } from '../../stream/stream-log.ts'
import { readLastEventId } from '../../sse/last-event-id.ts'
import { renderWhole } from './message.ts'
import { renderError } from './errors.ts'
import { parseCountRequest, parseMessages } from './request.ts'
import { initialState, toMessageEvents, type MessageState } from './events.ts'
import type { Encoded, Encoder, Model, Protocol } from '../protocol.ts'

/** Anthropic's Messages API: https://platform.claude.com/docs/en/api/messages */
export const anthropicMessages: Protocol = {
  name: 'anthropic-messages',
  wire: 'anthropic',
  createPath: '/v1/messages',
  paths: ['/v1/messages'],
  clientHeader: 'anthropic-version',
  keyHeader: 'x-api-key',
  userPath: ['metadata', 'user_id'],
  // Anthropic's SDK reads the request id from this header.
  headers: (requestId) => ({ 'request-id': requestId }),
  heartbeat: encodeEvent({ event: 'ping', data: { type: 'ping' } }),
  reconnects: false,
  parse: parseMessages,
  readCursor: readLastEventId,
  encoder: (info: StreamInfo): Encoder => new MessageEncoder(initialState(info)),
  renderWhole,
  models: {
    renderList: (models) => ({
      data: models.map(renderModel),
      has_more: false,
      first_id: models[0]?.id ?? null,
      last_id: models.at(-1)?.id ?? null,
    }),
    renderModel,
  },
  tokenCount: { path: '/v1/messages/count_tokens', parse: parseCountRequest, render: (count) => count },
  renderError,
}

/** Encodes the frames of a Messages stream. The name of each frame is the type in its data. */
class MessageEncoder implements Encoder {
  readonly #state: MessageState

  constructor(state: MessageState) {
    this.#state = state
  }

  encode(batch: Batch): Encoded {
    let state = this.#state
    let text = ''
    let frames = 0
    for (const { seq, event } of batch.events) {
      const step = toMessageEvents(event, state)
      state = step.state
      frames += step.events.length
      // Only the last frame of an event has its seq: a reader never resumes within an event.
      for (const [i, data] of step.events.entries())
        text += encodeEvent({ id: i === step.events.length - 1 ? seq : undefined, event: data.type, data })
    }
    return { text, frames, next: new MessageEncoder(state) }
  }

  skip({ events }: Batch): Encoder {
    let state = this.#state
    for (const { event } of events) state = toMessageEvents(event, state).state
    return new MessageEncoder(state)
  }
}

/** https://docs.anthropic.com/en/api/models-list */
function renderModel({ id }: Model) {
  return { type: 'model', id, display_name: id, created_at: '1970-01-01T00:00:00Z' }
}
