import { failureOf, fromStreamError, toSluiceError } from '../../errors.ts'
import type { Protocol } from '../../protocols/protocol.ts'
import { isOver } from '../../sse/http2.ts'
import { setAnswerHeaders } from '../answer-headers.ts'
import type { Handler, RequestContext } from '../context.ts'
import { isBeginning } from '../cursor.ts'
import { openStream, type OpenedStream } from '../open-stream.ts'
import { renderAnswer } from '../render-answer.ts'
import { resumeStream } from '../resume-stream.ts'
import { sendStream } from '../send-stream.ts'
import type { Services } from '../services.ts'
import { streamUrl } from '../stream-url.ts'
import { waitFor } from '../wait-for.ts'

/** `POST` of a protocol: starts a stream, or joins it, and answers in the mode that the request asks for. */
export function createStream(services: Services, protocol: Protocol): Handler {
  return async (context) => {
    const opened = await openStream(context, services, protocol)
    try {
      await respond(context, services, protocol, opened)
    } finally {
      opened.leave()
    }
  }
}

/** Neither this function nor `beginStream` is async: that saves a promise per stream. */
function respond(
  context: RequestContext,
  services: Services,
  protocol: Protocol,
  opened: OpenedStream,
): Promise<void> | void {
  const url = streamUrl(context, services.config, opened.log.info.id)
  if (opened.mode !== 'background') context.set('Content-Location', url + services.protocols.readQuery(protocol))
  switch (opened.mode) {
    case 'background':
      return announceStream(context, protocol, opened, url)
    case 'whole':
      return sendWhole(context, services, protocol, opened)
    case 'stream':
      return beginStream(context, services, protocol, opened)
  }
}

/** Responds with the stream's id and URL only: other requests read the stream. */
function announceStream(
  context: RequestContext,
  { renderCreated }: Protocol,
  { log }: OpenedStream,
  url: string,
): void {
  const { id } = log.info
  const { headers, body } = renderCreated?.({ id, url }) ?? { headers: { Location: url }, body: { id, url } }
  context.status = 202
  context.set(headers)
  context.body = body
}

async function sendWhole(
  context: RequestContext,
  { budget }: Services,
  protocol: Protocol,
  opened: OpenedStream,
): Promise<void> {
  const { log, generation } = opened
  await waitFor(context, log, 'end')
  setAnswerHeaders(context, log)
  if (!protocol.wholeSaysEnd) throwFailure(opened)
  context.body = await renderAnswer(context, budget, log, protocol.renderWhole, { paid: generation !== undefined })
}

function beginStream(
  context: RequestContext,
  services: Services,
  protocol: Protocol,
  opened: OpenedStream,
): Promise<void> | void {
  if (!protocol.reconnects) return beginWithStatus(context, services, protocol, opened)
  return sendOpened(context, services, protocol, opened)
}

/**
 * Clients that do not reconnect by themselves decide by the HTTP status whether to retry. So this waits for the first
 * event before it sends headers, at most `heartbeatMs`: proxies cut silent connections. Later errors are in the stream.
 */
async function beginWithStatus(
  context: RequestContext,
  services: Services,
  protocol: Protocol,
  opened: OpenedStream,
): Promise<void> {
  const { log } = opened
  await waitFor(context, log, 'first event', services.config.heartbeatMs)
  if (isOver(context.res)) return
  setAnswerHeaders(context, log)
  // A reader with a cursor has already had a 200: its stream reports the failure.
  if (log.last === 1 && isBeginning(protocol.readCursor(context))) throwFailure(opened)
  sendOpened(context, services, protocol, opened)
}

function sendOpened(
  context: RequestContext,
  services: Services,
  protocol: Protocol,
  { log, generation }: OpenedStream,
): void {
  if (generation) sendStream(context, services, log, 0, protocol)
  else resumeStream(context, services, log, protocol)
}

function throwFailure({ log, generation }: OpenedStream): void {
  if (log.done?.finish_reason !== 'error' && log.done?.finish_reason !== 'cancelled') return
  throw generation?.failure === undefined ? fromStreamError(failureOf(log.done)) : toSluiceError(generation.failure)
}
