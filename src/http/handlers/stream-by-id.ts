// The routes of one stream: `/v1/streams/:id`.

import { invalidField, SluiceError } from '../../errors.ts'
import { EVENT_STREAM, JSON_TYPE, negotiate, parseMediaRanges } from '../../media-types.ts'
import type { Protocol } from '../../protocols/protocol.ts'
import { findNamed, stopStream } from '../find-stream.ts'
import type { Handler, RequestContext, Services } from '../context.ts'
import { renderResponse } from '../middleware/whole-responses.ts'
import { setCostHeader } from '../target-headers.ts'
import { countMissing, resumeStream } from '../resume-stream.ts'
import type { StreamLog } from '../../stream/stream-log.ts'

/**
 * `GET /v1/streams/:id`: the stream from the reader's cursor on, or a snapshot as JSON. With the protocol in the URL it
 * always sends the stream: SDKs send `Accept: application/json` with every request.
 */
export function readStream(services: Services): Handler {
  return async (context) => {
    const { protocols } = services
    const named = context.query.protocol
    const protocol = findProtocol(services, named ?? protocolParameter(context))
    context.state.protocol = protocol
    if (context.state.ticket && protocol.repeatsRequest)
      throw new SluiceError(
        'insufficient_scope',
        `A ticket shows the answer, and ${protocol.name} repeats the request.`,
      )
    const log = await findStream(context, services).catch((error: unknown) => countMissing(services, error))
    const { renderSnapshot = protocols.default.renderSnapshot } = protocol
    const format =
      named === undefined && renderSnapshot ? negotiate(context.get('Accept'), EVENT_STREAM, JSON_TYPE) : EVENT_STREAM
    if (format === EVENT_STREAM || !renderSnapshot) return resumeStream(context, services, log, protocol)
    log.touch()
    setCostHeader(context, log.done)
    context.body = await renderResponse(context, services.budget, log, renderSnapshot, { paid: false })
  }
}

/** `Accept: text/event-stream;protocol=…` */
function protocolParameter(context: RequestContext): string | undefined {
  context.vary('Accept')
  const accept = context.get('Accept')
  if (!accept.includes('protocol')) return undefined
  const range = parseMediaRanges(accept).find(
    ({ type, parameters }) => type === EVENT_STREAM && parameters.has('protocol'),
  )
  return range?.parameters.get('protocol')
}

function findProtocol({ protocols }: Services, name: string | string[] | undefined): Protocol {
  const protocol = name === undefined ? protocols.default : protocols.named(String(name))
  if (protocol) return protocol
  throw invalidField('not_acceptable', 'protocol', `must be one of ${protocols.names.join(', ')}`)
}

/** `DELETE /v1/streams/:id`: stops the generation for all readers. Idempotent. */
export function cancelStream(services: Services): Handler {
  return async (context) => {
    await stopStream(services, await findStream(context, services))
    context.status = 204
  }
}

function findStream(context: RequestContext, services: Services): Promise<StreamLog> {
  return findNamed(context, services, { id: String(context.params.id) })
}
