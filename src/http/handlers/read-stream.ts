import { invalidField, SluiceError } from '../../errors.ts'
import { anthropicMessages } from '../../protocols/anthropic/messages.ts'
import { native } from '../../protocols/native/native.ts'
import { openaiChat } from '../../protocols/openai/chat.ts'
import type { Protocol } from '../../protocols/protocol.ts'
import type { StreamLog } from '../../stream/stream-log.ts'
import type { Handler, RequestContext } from '../context.ts'
import { parseMediaRanges } from '../media-types.ts'
import { EVENT_STREAM, JSON_TYPE, negotiate } from '../negotiate.ts'
import { renderAnswer } from '../render-answer.ts'
import { countMissing, resumeStream } from '../resume-stream.ts'
import type { Services } from '../services.ts'

const PROTOCOLS: readonly Protocol[] = [native, openaiChat, anthropicMessages]

/**
 * `GET /v1/streams/:id`: the stream from the reader's cursor on, or what is known of it as JSON. A caller that names
 * the protocol in the URL wants its stream: SDKs send `Accept: application/json` with whatever they ask for.
 */
export function readStream(services: Services): Handler {
  return async (context) => {
    const named = context.query.protocol
    const protocol = findProtocol(named ?? protocolParameter(context) ?? native.name)
    context.state.protocol = protocol
    const log = await findStream(context, services).catch((error: unknown) => countMissing(services, error))
    const format = named === undefined ? negotiate(context, EVENT_STREAM, JSON_TYPE) : EVENT_STREAM
    if (format === EVENT_STREAM) return resumeStream(context, services, log, protocol)
    log.touch()
    context.body = await renderAnswer(context, services.budget, log, native, { paid: false })
  }
}

/** `text/event-stream;protocol=openai-chat` */
function protocolParameter(context: RequestContext): string | undefined {
  context.vary('Accept')
  const accept = context.get('Accept')
  if (!accept.includes('protocol')) return undefined
  const range = parseMediaRanges(accept).find(
    ({ type, parameters }) => type === EVENT_STREAM && parameters.has('protocol'),
  )
  return range?.parameters.get('protocol')
}

function findProtocol(name: string | string[]): Protocol {
  const protocol = PROTOCOLS.find((each) => each.name === name)
  if (protocol) return protocol
  const names = PROTOCOLS.map((each) => each.name).join(', ')
  throw invalidField('not_acceptable', 'protocol', `must be one of ${names}`)
}

/** @throws SluiceError `stream_not_found` for what is unknown and what is someone else's, in the same words. */
export async function findStream(context: RequestContext, { store }: Services): Promise<StreamLog> {
  const id = String(context.params.id)
  const found = await store.find(id, context.state.owner)
  switch (found.status) {
    case 'found':
      context.state.streamId = id
      return found.log
    case 'expired':
      throw new SluiceError('stream_expired', 'The stream has ended and is no longer kept.')
    case 'unknown':
      throw new SluiceError('stream_not_found', 'There is no such stream.')
  }
}
