import { isErrorCode, SluiceError } from '../../errors.ts'
import type { Protocol } from '../../protocols/protocol.ts'
import { isOver } from '../../sse/http2.ts'
import type { Done } from '../../stream/events.ts'
import type { StreamLog } from '../../stream/stream-log.ts'
import type { Handler, RequestContext } from '../context.ts'
import { openStream, type OpenedStream } from '../open-stream.ts'
import { renderAnswer } from '../render-answer.ts'
import { resumeStream } from '../resume-stream.ts'
import { sendStream } from '../send-stream.ts'
import type { Services } from '../services.ts'
import { streamUrl } from '../stream-url.ts'
import { waitFor } from '../wait-for.ts'

/**
 * `POST` of a protocol that SDKs speak: a stream or a whole answer, as the body asks. Its callers look at the status
 * to see whether to try again, so the first event is waited for – but no longer than a proxy bears silence; after
 * that the stream is begun, and an error has to come within it.
 */
export function createCompletion(services: Services, protocol: Protocol): Handler {
  return async (context) => {
    const { heartbeatMs, sdkResumeWindowMs } = services.config
    const opened = await openStream(context, services, protocol, { resumeWindowMs: sdkResumeWindowMs })
    const { log, stream } = opened
    context.set('Content-Location', `${streamUrl(context, services.config, log.info.id)}?protocol=${protocol.name}`)
    if (stream) {
      await waitFor(context, log, 'first event', heartbeatMs)
      if (isOver(context.res)) return
      setAnswerHeaders(context, log)
      if (log.last === 1) throwFailure(opened)
      if (opened.generation) sendStream(context, services, log, 0, protocol)
      else resumeStream(context, services, log, protocol)
    } else {
      await waitFor(context, log, 'end')
      setAnswerHeaders(context, log)
      throwFailure(opened)
      context.body = await renderAnswer(context, services.budget, log, protocol, {
        paid: opened.generation !== undefined,
      })
    }
  }
}

/** Which target answered, and how many attempts it took; known once the first token is there, or all have failed. */
export function setAnswerHeaders(context: RequestContext, { answer }: StreamLog): void {
  if (!answer) return
  // A model's name is the caller's to choose where any is taken, and a header cannot hold every character.
  context.set('Sluice-Target', encodeURI(`${answer.provider}/${answer.model}`.toWellFormed()))
  context.set('Sluice-Attempts', String(answer.attempts))
}

function throwFailure({ log, generation }: OpenedStream): void {
  if (log.done?.finish_reason !== 'error' && log.done?.finish_reason !== 'cancelled') return
  throw generation?.failure instanceof SluiceError ? generation.failure : asError(log.done)
}

function asError({ error }: Done): SluiceError {
  if (!error) return new SluiceError('cancelled', 'The stream was cancelled.')
  const code = isErrorCode(error.code) ? error.code : 'provider_failed'
  return new SluiceError(code, error.message, { retryable: error.retryable })
}
