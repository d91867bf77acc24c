import { invalidField, SluiceError } from '../../errors.ts'
import { anthropicMessages } from '../../protocols/anthropic-messages.ts'
import { native } from '../../protocols/native.ts'
import { openaiChat } from '../../protocols/openai-chat.ts'
import type { Protocol } from '../../protocols/protocol.ts'
import type { StreamLog } from '../../stream/stream-log.ts'
import type { ResumeResult } from '../../telemetry/metrics.ts'
import type { Handler, RequestContext } from '../context.ts'
import { negotiate } from '../negotiate.ts'
import { renderAnswer } from '../render-answer.ts'
import { admitReader, sendStream } from '../send-stream.ts'
import type { Services } from '../services.ts'

const PROTOCOLS: readonly Protocol[] = [native, openaiChat, anthropicMessages]

/** `GET /v1/streams/:id`: the stream from the reader's cursor on, or what is known of it as JSON. */
export function readStream(services: Services): Handler {
  return async (context) => {
    context.state.protocol = chooseProtocol(context)
    const count = (result: ResumeResult) => services.metrics.cell('resumes_total', { result }).add()
    const log = await findStream(context, services).catch((error: unknown) => {
      if (error instanceof SluiceError) count(error.code === 'stream_expired' ? 'expired' : 'unknown')
      throw error
    })
    context.vary('Accept')
    if (negotiate(context) === 'json') {
      context.set('Cache-Control', 'no-store')
      context.body = await renderAnswer(context, services.budget, log, native, { paid: false })
      return
    }
    const cursor = readCursor(context, log, () => count('invalid'))
    // A reader that has it all and asks again is an `EventSource` after the end: 204 stops it for good.
    if (log.done && cursor === log.last) {
      count('finished')
      context.status = 204
      return
    }
    if (context.method === 'HEAD') {
      context.type = 'text/event-stream'
      context.status = 200
      return
    }
    admitReader(context, services)
    if (cursor > 0) count('resumed')
    sendStream(context, services, log, cursor, context.state.protocol)
  }
}

/** `?protocol=` or a parameter of the media type: `text/event-stream;protocol=openai-chat`. */
function chooseProtocol(context: RequestContext): Protocol {
  const parameter = /text\/event-stream\s*;\s*protocol="?([\w-]+)/i.exec(context.get('Accept'))?.[1]
  const name = context.query.protocol ?? parameter ?? native.name
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

/** The header wins: a browser that reconnects sends it, with the URL's parameter still where it was at first. */
function readCursor(context: RequestContext, log: StreamLog, onInvalid: () => void): number {
  const header = context.get('Last-Event-ID')
  const parameter = context.query.last_event_id
  const [path, value] = header !== '' ? ['Last-Event-ID', header] : ['last_event_id', parameter ?? '0']
  if (typeof value === 'string' && /^\d{1,15}$/.test(value) && Number(value) <= log.last) return Number(value)
  onInvalid()
  throw invalidField('invalid_cursor', path, `must be a whole number from 0 to ${log.last}, the last event`)
}
