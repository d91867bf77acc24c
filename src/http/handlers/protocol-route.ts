// The routes that a protocol has of its own, each about one stream.

import { SluiceError } from '../../errors.ts'
import type { Protocol, StreamRoute } from '../../protocols/protocol.ts'
import type { StreamLog } from '../../stream/stream-log.ts'
import type { Handler, RequestContext, Services } from '../context.ts'
import { findNamed, noSuchStream, stopStream } from '../find-stream.ts'
import { renderResponse } from '../middleware/whole-responses.ts'
import { setCostHeader } from '../target-headers.ts'
import { resumeAtFrame } from '../resume-at-frame.ts'
import { countMissing, resumeStream } from '../resume-stream.ts'

/** Finds the stream, does to it what the route says, and answers with its events, its JSON, or nothing. */
export function protocolRoute(services: Services, protocol: Protocol, route: StreamRoute): Handler {
  const { action, render, wantsEvents = () => render === undefined } = route
  return async (context) => {
    const log = await find(context, services, route)
    if (!log) {
      context.status = 204
      return
    }
    if (action === 'read') {
      if (wantsEvents(context) && route.frameCursor)
        return resumeAtFrame(context, services, log, protocol, route.frameCursor)
      if (wantsEvents(context)) return resumeStream(context, services, log, protocol, route)
      log.touch()
    } else await stopStream(services, log)
    if (action === 'forget') await services.store.forget(log)
    if (!render) {
      context.status = 204
      return
    }
    setCostHeader(context, log.done)
    context.body = await renderResponse(context, services.budget, log, (each) => render(each, context), {
      paid: action !== 'read',
    })
  }
}

/** Undefined when the route answers a missing stream without an error. */
async function find(
  context: RequestContext,
  services: Services,
  { nameOf, covers = () => true, missing, action }: StreamRoute,
): Promise<StreamLog | undefined> {
  try {
    const name = nameOf(context.params)
    const log = name && (await findNamed(context, services, name))
    if (log && covers(log, context)) return log
    throw noSuchStream()
  } catch (error) {
    if (missing !== undefined && isMissing(error)) return undefined
    return action === 'read' ? countMissing(services, error) : rethrow(error)
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof SluiceError && (error.code === 'stream_not_found' || error.code === 'stream_expired')
}

function rethrow(error: unknown): never {
  throw error
}
