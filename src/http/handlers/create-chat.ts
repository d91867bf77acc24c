import { createHash } from 'node:crypto'
import { invalidField, SluiceError } from '../../errors.ts'
import { native, parseChat, takeSnapshot } from '../../protocols/native.ts'
import { follow } from '../../stream/subscription.ts'
import type { StreamLog } from '../../stream/stream-log.ts'
import type { Idempotency } from '../../stream/stream-store.ts'
import { observeGeneration } from '../../telemetry/observe-generation.ts'
import type { Handler, RequestContext } from '../context.ts'
import { negotiate } from '../negotiate.ts'
import { sendStream } from '../send-stream.ts'
import type { Services } from '../services.ts'

/** `POST /v1/chat`: starts a generation (or joins the one with the same `Idempotency-Key`) and answers as asked. */
export function createChat(services: Services): Handler {
  return async (context) => {
    if (services.draining)
      throw new SluiceError('gateway_shutdown', 'The gateway is shutting down; try another one.', { retryAfter: 5 })
    const answer = prefersAsync(context) ? 'async' : negotiate(context)
    const log = await openStream(context, services)
    const url = `/v1/streams/${log.info.id}`
    context.state.streamId = log.info.id
    context.set('Sluice-Stream-Id', log.info.id)
    switch (answer) {
      case 'async':
        context.status = 202
        context.set('Location', url)
        context.set('Preference-Applied', 'respond-async')
        context.body = { id: log.info.id, url }
        return
      case 'json':
        context.set('Content-Location', url)
        await untilDone(context, log)
        context.body = takeSnapshot(log)
        return
      case 'event-stream':
        context.set('Content-Location', url)
        await sendStream(context, services, log, 0, native)
    }
  }
}

function prefersAsync(context: RequestContext): boolean {
  return /(^|[,;\s])respond-async($|[,;\s])/i.test(context.get('Prefer'))
}

async function openStream(context: RequestContext, services: Services): Promise<StreamLog> {
  const { config, router, store, generations, metrics, logger } = services
  const input = parseChat(context.request.body)
  const { provider, model, options } = router.route(input.model)
  const request = { ...input, model }
  provider.check?.(request)
  const { log, joined } = await store.create({
    owner: context.state.owner,
    model,
    provider: provider.name,
    idempotency: readIdempotency(context),
  })
  // An open stream would keep the body's text in memory until it ends.
  context.request.rawBody = ''
  context.request.body = undefined
  if (joined) return log
  generations.start({
    log,
    produce: (signal) => provider.stream(request, { signal, streamId: log.info.id, options }),
    resumeWindowMs: config.resumeWindowMs,
    firstTokenTimeoutMs: config.firstTokenTimeoutMs,
    idleTimeoutMs: config.idleTimeoutMs,
    observer: observeGeneration(metrics, logger, { protocol: native.name, provider: provider.name }),
  })
  return log
}

/** https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/ */
function readIdempotency(context: RequestContext): Idempotency | undefined {
  const key = context.get('Idempotency-Key')
  if (key === '') return undefined
  if (!/^[\x20-\x7e]{1,255}$/.test(key))
    throw invalidField('invalid_request', 'Idempotency-Key', 'must be 1 to 255 printable ASCII characters')
  const fingerprint = createHash('sha256').update(`${context.path}\n`).update(context.request.rawBody).digest('base64')
  return { key, fingerprint }
}

/** Waits as any reader does, so that a caller who hangs up leaves a stream without readers. */
async function untilDone(context: RequestContext, log: StreamLog): Promise<void> {
  const gone = new AbortController()
  const onClose = () => gone.abort()
  context.res.once('close', onClose)
  if (context.res.destroyed) gone.abort()
  try {
    for await (const _ of follow(log, log.last, gone.signal));
  } catch (error) {
    if (!gone.signal.aborted) throw error
    context.state.ended = 'disconnected'
  } finally {
    context.res.off('close', onClose)
  }
}
