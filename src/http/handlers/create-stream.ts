// The `POST` of every protocol, and the headers and waits that only its response has.

import { fromFailedDone, producerLost, toSluiceError, type SluiceError } from '../../errors.ts'
import type { Created, Protocol } from '../../protocols/protocol.ts'
import { isOver } from '../../sse/http2.ts'
import type { Handler, RequestContext, Services } from '../context.ts'
import { isBeginning, resumeStream } from '../resume-stream.ts'
import { openStream, type OpenedStream } from '../open-stream.ts'
import { renderResponse } from '../middleware/whole-responses.ts'
import { sendStream } from '../send-stream.ts'
import { setCostHeader, setTargetHeaders } from '../target-headers.ts'
import type { StreamLog } from '../../stream/stream-log.ts'
import { streamUrl } from '../stream-url.ts'

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
      return announceStream(context, services, protocol, opened, url)
    case 'whole':
      return sendWhole(context, services, protocol, opened)
    case 'stream':
      return beginStream(context, services, protocol, opened)
  }
}

/** Responds with the stream's id and URL only: other requests read the stream. */
async function announceStream(
  context: RequestContext,
  { tickets, config }: Services,
  { renderCreated }: Protocol,
  { log }: OpenedStream,
  address: string,
): Promise<void> {
  const { id } = log.info
  // For readers that cannot send a key, such as `EventSource`.
  const url = `${address}?ticket=${tickets.issue(id, 'read', config.ticketTtlMs).ticket}`
  const created: Created = (await renderCreated?.({ id, address, url, log })) ?? {
    headers: { Location: address },
    body: { id, url },
  }
  const { status = 202, headers, body } = created
  context.status = status
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
  if (log.answer) setTargetHeaders(context, log.answer)
  setCostHeader(context, log.done)
  if (!protocol.wholeSaysEnd) throwFailure(opened)
  context.body = await renderResponse(context, budget, log, protocol.renderWhole, { paid: generation !== undefined })
}

function beginStream(
  context: RequestContext,
  services: Services,
  protocol: Protocol,
  opened: OpenedStream,
): Promise<void> | void {
  if (!protocol.reconnects && !opened.detached) return beginWithStatus(context, services, protocol, opened)
  return sendOpened(context, services, protocol, opened)
}

/**
 * Clients that do not reconnect by themselves decide by the HTTP status whether to retry. So this waits for the first
 * event before it sends headers, at most `sdkStatusWaitMs`: proxies cut silent connections. Later errors are in the stream.
 */
async function beginWithStatus(
  context: RequestContext,
  services: Services,
  protocol: Protocol,
  opened: OpenedStream,
): Promise<void> {
  const { log } = opened
  await waitFor(context, log, 'first event', services.config.sdkStatusWaitMs)
  if (isOver(context.res)) return
  if (log.answer) setTargetHeaders(context, log.answer)
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
  if (generation) sendStream(context, services, log, { seq: 0 }, protocol)
  else resumeStream(context, services, log, protocol)
}

function throwFailure({ log, generation }: OpenedStream): void {
  if (log.done?.finish_reason !== 'error' && log.done?.finish_reason !== 'cancelled') return
  throw generation?.failure === undefined ? fromFailedDone(log.done) : toSluiceError(generation.failure)
}

/**
 * Waits for the first event or for the end, at most `limitMs`. Counts as a reader meanwhile, so that a caller that
 * hangs up leaves the stream without readers. Returns early, without an error, when the caller has gone.
 *
 * Reads nothing: a whole answer is read once, at its end.
 *
 * @throws SluiceError `producer_lost`
 */
function waitFor(
  context: RequestContext,
  log: StreamLog,
  what: 'first event' | 'end',
  limitMs?: number,
): Promise<void> {
  const { res, state } = context
  return new Promise((resolve, reject) => {
    const leave = log.subscribe(check)
    const limit = limitMs === undefined ? undefined : setTimeout(stop, limitMs)
    res.on('close', onClose)
    if (isOver(res)) onClose()
    else check()

    function check(): void {
      if (log.withdrawn) stop(producerLost())
      else if (log.done || (what === 'first event' && log.last > 0)) stop()
    }

    function onClose(): void {
      state.ended = 'disconnected'
      stop()
    }

    function stop(failure?: SluiceError): void {
      leave()
      clearTimeout(limit)
      res.off('close', onClose)
      if (failure) reject(failure)
      else resolve()
    }
  })
}
