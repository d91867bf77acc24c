import { encodeComment } from '../../sse/encode.ts'
import { readLastEventId, type LastEventId, type ReaderRequest } from '../../sse/last-event-id.ts'
import type { StreamLog } from '../../stream/stream-log.ts'
import { renderError } from '../openai/chat.ts'
import type { Protocol, StreamName, StreamRoute } from '../protocol.ts'
import { parseItems, refersTo } from './conversation.ts'
import { createEncoder, encodeOpening, renderResponse } from './encoder.ts'
import { toPosition } from './numbering.ts'
import { parseResponse } from './request.ts'
import { toResponseId, toStreamId } from './response.ts'

const PATH = '/v1/responses'

const nameOf = ({ id = '' }: Readonly<Record<string, string | undefined>>): StreamName | undefined => {
  const stream = toStreamId(id)
  return stream === undefined ? undefined : { id: stream }
}

const routes: readonly StreamRoute[] = [
  {
    method: 'get',
    path: `${PATH}/:id`,
    action: 'read',
    nameOf,
    wantsEvents: ({ query }) => query.stream === 'true',
    render: renderResponse,
    emptyAtEnd: true,
  },
  { method: 'get', path: `${PATH}/:id/input_items`, action: 'read', nameOf, render: renderInputItems },
  { method: 'post', path: `${PATH}/:id/cancel`, action: 'cancel', nameOf, render: renderResponse },
  { method: 'delete', path: `${PATH}/:id`, action: 'forget', nameOf, render: renderDeleted },
]

/** OpenAI's Responses: https://platform.openai.com/docs/api-reference/responses */
export const openaiResponses: Protocol = {
  name: 'openai-responses',
  wire: 'openai',
  createPath: PATH,
  paths: [PATH],
  heartbeat: encodeComment('heartbeat'),
  reconnects: false,
  repeatsRequest: true,
  repeatsAnswer: true,
  parse: parseResponse,
  refersTo,
  readCursor,
  toPosition,
  encoder: createEncoder,
  opening: encodeOpening,
  renderWhole: renderResponse,
  renderSnapshot: renderResponse,
  renderCreated: async ({ address, log }) => ({
    status: 200,
    headers: { Location: address },
    body: await renderResponse(log),
  }),
  streamRoutes: routes,
  // A response that is no longer kept is, at OpenAI, one that is not there.
  renderError: (error) => ({ ...renderError(error), ...(error.code === 'stream_expired' && { status: 404 }) }),
}

/** The sequence number that the reader has seen last; as an `EventSource` or as OpenAI's SDKs send it. */
function readCursor(request: ReaderRequest): LastEventId | undefined {
  const after = request.querystring === '' ? '' : [request.query.starting_after ?? ''].flat().join(', ')
  return readLastEventId(request) ?? (after === '' ? undefined : { path: 'starting_after', value: after })
}

async function renderDeleted({ info }: StreamLog) {
  return { id: toResponseId(info.id), object: 'response', deleted: true }
}

/** https://platform.openai.com/docs/api-reference/responses/input-items; the newest first, unless asked otherwise. */
async function renderInputItems({ kept = '[]' }: StreamLog, { query }: ReaderRequest) {
  const items = parseItems(kept).map((item, i) => ({
    id: `msg_in_${i}`,
    ...(typeof item === 'object' && item !== null && !('type' in item) && { type: 'message' }),
    ...(typeof item === 'object' ? item : {}),
  }))
  const ordered = query.order === 'asc' ? items : items.toReversed()
  const start = ordered.findIndex(({ id }) => id === query.after) + 1
  const limit = Math.min(100, Math.max(1, Number(query.limit ?? 20) || 20))
  const data = ordered.slice(start, start + limit)
  return {
    object: 'list',
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: start + limit < ordered.length,
  }
}
