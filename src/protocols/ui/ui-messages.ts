import { invalidField } from '../../errors.ts'
import { encodeComment, encodeJson } from '../../sse/encode.ts'
import { readLastEventId, type ReaderRequest } from '../../sse/last-event-id.ts'
import type { Batch } from '../../stream/stream-log.ts'
import { native } from '../native/native.ts'
import type { Encoded, Encoder, Protocol, StreamName } from '../protocol.ts'
import { initialState, toChunks, type ChunkState } from './chunks.ts'
import { renderWhole } from './message.ts'
import { aliasOf, parseUiChat } from './request.ts'

/**
 * The UI message stream of the AI SDK, which `useChat` reads: https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol
 *
 * Its clients count chunks, and resume with the number of those they have: each event of a log makes the same chunks
 * whenever it is read, so deltas are not merged.
 */
export const uiMessages: Protocol = {
  name: 'ui-messages',
  createPath: '/v1/ui/chat',
  paths: ['/v1/ui'],
  heartbeat: encodeComment('heartbeat'),
  reconnects: true,
  countsFrames: true,
  parse: parseUiChat,
  readCursor: readLastEventId,
  encoder: (info) => new ChunkEncoder(initialState(info)),
  renderWhole,
  streamHeaders: ({ id }) => ({ 'x-vercel-ai-ui-message-stream': 'v1', 'x-workflow-run-id': id }),
  streamRoutes: [
    {
      method: 'get',
      path: '/v1/ui/chat/:name/stream',
      action: 'read',
      nameOf: toStreamName,
      // The SDK takes an answer that has ended for one that the page has: it would show it twice, and run its tools again.
      covers: (log, request) => !log.done || request.query.startIndex !== undefined,
      frameCursor: {
        read: readStartIndex,
        headers: (count) => ({ 'x-workflow-stream-tail-index': String(count - 1) }),
      },
      missing: 204,
    },
    { method: 'post', path: '/v1/ui/chat/:name/stop', action: 'cancel', nameOf: toStreamName, missing: 204 },
  ],
  // The SDK has the body as the message of its error.
  renderError: (error, requestId) => native.renderError(error, requestId),
}

/** The ids that the gateway gives to streams; any other name is that of a chat. */
const STREAM_ID = /^str_[\da-f]{32}$/

function toStreamName({ name = '' }: Readonly<Record<string, string | undefined>>): StreamName {
  return STREAM_ID.test(name) ? { id: name } : { alias: aliasOf(name) }
}

/** The convention of `WorkflowChatTransport`: how many chunks the reader has, or how many it wants from the end. */
function readStartIndex({ query }: ReaderRequest): number {
  const { startIndex = '0' } = query
  if (typeof startIndex === 'string' && /^-?\d{1,15}$/.test(startIndex)) return Number(startIndex)
  throw invalidField('invalid_cursor', 'startIndex', 'must be a whole number: that of the chunks that were received')
}

class ChunkEncoder implements Encoder {
  readonly #state: ChunkState

  constructor(state: ChunkState) {
    this.#state = state
  }

  encode({ events }: Batch): Encoded {
    let state = this.#state
    let text = ''
    let frames = 0
    for (const { seq, event } of events) {
      const step = toChunks(event, state)
      state = step.state
      frames += step.chunks.length
      for (const [i, chunk] of step.chunks.entries()) {
        // Only the last chunk of an event has its seq: a cursor is never within an event.
        const id = i === step.chunks.length - 1 ? `id: ${seq}\n` : ''
        text += `data: ${encodeJson(chunk)}\n${id}\n`
      }
      // No chunk for those who count.
      if (event.type === 'done') text += 'data: [DONE]\n\n'
    }
    return { text, frames, next: new ChunkEncoder(state) }
  }

  skip({ events }: Batch): Encoder {
    let state = this.#state
    for (const { event } of events) state = toChunks(event, state).state
    return new ChunkEncoder(state)
  }
}
