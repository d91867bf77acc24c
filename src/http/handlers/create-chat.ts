import { native } from '../../protocols/native/native.ts'
import type { Handler, RequestContext } from '../context.ts'
import { EVENT_STREAM, JSON_TYPE, negotiate } from '../negotiate.ts'
import { openStream } from '../open-stream.ts'
import { renderAnswer } from '../render-answer.ts'
import { resumeStream } from '../resume-stream.ts'
import { sendStream } from '../send-stream.ts'
import type { Services } from '../services.ts'
import { waitFor } from '../wait-for.ts'
import { streamUrl } from '../stream-url.ts'
import { setAnswerHeaders } from './create-completion.ts'

/** `POST /v1/chat`, the native protocol: how the answer comes is for the headers to say. */
export function createChat(services: Services): Handler {
  return async (context) => {
    const wanted = prefersAsync(context) ? 'async' : negotiate(context, EVENT_STREAM, JSON_TYPE)
    const { resumeWindowMs } = services.config
    const { log, generation } = await openStream(context, services, native, { resumeWindowMs })
    const { id } = log.info
    const url = streamUrl(context, services.config, id)
    switch (wanted) {
      case 'async':
        context.status = 202
        context.set('Location', url)
        context.set('Preference-Applied', 'respond-async')
        context.body = { id, url }
        return
      case JSON_TYPE:
        context.set('Content-Location', url)
        await waitFor(context, log, 'end')
        setAnswerHeaders(context, log)
        context.body = await renderAnswer(context, services.budget, log, native, { paid: generation !== undefined })
        return
      case EVENT_STREAM:
        context.set('Content-Location', url)
        if (generation) sendStream(context, services, log, 0, native)
        else resumeStream(context, services, log, native)
    }
  }
}

function prefersAsync(context: RequestContext): boolean {
  return /(^|[,;\s])respond-async($|[,;\s])/i.test(context.get('Prefer'))
}
