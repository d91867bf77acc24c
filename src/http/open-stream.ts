import { createHash } from 'node:crypto'
import { NOTHING, type Admission } from '../access/admission.ts'
import { askedTokens } from '../access/answer-size.ts'
import { chargeStream } from '../access/charge-stream.ts'
import type { Wish } from '../access/limiter.ts'
import { ORIGINAL, type ChatInput } from '../chat-request.ts'
import { invalidField, SluiceError, toSluiceError } from '../errors.ts'
import { estimateTokens } from '../usage/estimate-tokens.ts'
import type { Mode, Protocol } from '../protocols/protocol.ts'
import { Run } from '../routing/run.ts'
import { traceAttempts } from '../telemetry/observe-routing.ts'
import type { Plan } from '../routing/target.ts'
import type { Hold } from '../store/budget.ts'
import type { Idempotency } from '../store/directory.ts'
import type { Created } from '../store/stream-store.ts'
import type { Generation } from '../stream/generation.ts'
import type { StreamLog } from '../stream/stream-log.ts'
import { observeGeneration } from '../telemetry/observe-streams.ts'
import { afterThisTurn } from '../stream/event-loop.ts'
import { sampleBytes } from '../usage/prompt-sample.ts'
import { StreamAccount } from '../usage/stream-account.ts'
import { admit, checkOtherModels, overloadOf, planAllowed, withAnswerLimit } from './admit.ts'
import type { RequestContext, Services } from './context.ts'
import { actForUserOf } from './middleware/authorize.ts'
import { findEarlier } from './earlier-streams.ts'
import { checkSyntax, isBeginning, countInvalid, countMissing } from './resume-stream.ts'

export interface OpenedStream {
  log: StreamLog
  /** Absent when the request joined an existing stream. */
  generation?: Generation
  mode: Mode
  /** Runs to its end without readers. */
  detached: boolean
  /**
   * Removes the request from the stream's readers. It counts as one from before the start, so that the stream is not
   * cancelled before it is read. Call once a subscription has taken over, or when there will be none.
   */
  leave: () => void
}

/**
 * A running stream, apart from its log: generation, attempt, timers, a connection to its upstream. Measured by
 * `bench/memory.ts`, like all estimates here.
 */
const RUNNING_BYTES = 20 * 1024

/** A retry in mid-answer needs the prompt. In characters: a larger one is released with the first token. */
const MAX_KEPT_PROMPT = 1024 * 1024

/**
 * Starts a generation for the request, or joins the one with the same `Idempotency-Key`. Releases the body: a handler
 * that waits for the answer would otherwise keep the whole conversation in memory.
 *
 * @throws SluiceError when the request cannot be served
 */
export async function openStream(
  context: RequestContext,
  services: Services,
  protocol: Protocol,
): Promise<OpenedStream> {
  context.state.caller = actForUserOf(context, protocol)
  const earlier = await findEarlier(context, services, protocol)
  const parsed = protocol.parse(context.request.body, context.headers, earlier)
  const { forward, labels, mode, alias, kept, detached = false, ignored = [] } = parsed
  if (services.draining) throw shuttingDown()
  const { accounts, config, router, store, generations, limiter, load, metrics, logger } = services
  const { caller, client, trace } = context.state
  checkOtherModels(context, services)
  const input = withAnswerLimit(context, services, parsed.input)
  const plan = planAllowed(services, caller, (allows) => router.plan(input.model, input, protocol.wire, allows))
  const [{ provider, model }] = plan.targets
  const init = {
    owner: caller.owner,
    client,
    runningBytes: RUNNING_BYTES + sampleBytes(context.request.rawBody.length),
    model,
    provider: provider.name,
    protocol: protocol.name,
    labels,
    alias,
    kept,
    idempotency: readIdempotency(context, services, protocol),
  }
  let admission: Admission | undefined
  const wish = wishOf(services, parsed.input, plan)
  // Not `.catch()`: it would create one more promise per stream.
  let created: Created
  try {
    if (limiter.counts(caller) || load.refusal())
      admission = await enterLimits(context, services, wish, init.idempotency)
    created = await store.create(init)
  } catch (error) {
    void admission?.settle(NOTHING)
    return countMissing(services, error)
  }
  const { log, joined } = created
  if (joined) void admission?.settle(NOTHING)
  // The stream that it was to join has been cancelled, so it starts one after all.
  else if (!admission && limiter.counts(caller)) admission = await admitLate(context, services, wish, log)
  // A drain may have begun during the `await`, which would not end this stream; or other streams may have started.
  const refusal = joined ? undefined : services.draining ? shuttingDown() : overloadOf(services, caller)
  if (refusal) {
    void admission?.settle(NOTHING)
    throw endedBy(refusal, log)
  }
  const isWaiting = mode === 'whole' && context.request.rawBody.length <= MAX_KEPT_PROMPT
  context.request.rawBody = ''
  context.request.body = undefined
  context.state.streamId = log.info.id
  context.set('Sluice-Stream-Id', log.info.id)
  // Such an upstream gets all of them.
  const isIntact = ORIGINAL in input && plan.targets[0].provider.takesResponses?.(plan.targets[0].model)
  const leftOut = [...(isIntact ? [] : ignored), ...(plan.ignored ?? [])]
  if (leftOut.length > 0) context.set('Sluice-Ignored', leftOut.join(', '))
  const { prompt } = context.state
  context.state.prompt = undefined
  const { leave, mayHoldBack } = enter(log, isWaiting)
  if (joined) {
    prompt?.release()
    return { log, mode, detached, leave }
  }
  const account = new StreamAccount(accounts, { log, input, caller, protocol: protocol.name, requested: plan.model })
  const observer = observeGeneration(metrics, logger, {
    protocol: protocol.name,
    provider: provider.name,
    caller: caller.principal.name,
  })
  const generation = generations.start({
    log,
    account,
    produce: (signal, sink) =>
      new Run(plan, sink, {
        signal,
        streamId: log.info.id,
        headers: forward,
        mayHoldBack,
        observer: account.watch(traceAttempts(services.routing, { trace, streamId: log.info.id, input })),
      })
        .open(input)
        // After the first token has been sent.
        .finally(() => afterThisTurn(() => release(account, prompt))),
    resumeWindowMs: detached ? Infinity : protocol.reconnects ? config.resumeWindowMs : config.sdkResumeWindowMs,
    observer: admission ? chargeStream(admission, observer) : observer,
  })
  return { log, generation, mode, detached, leave }
}

/** Drops the conversation, and ends the count of its memory. */
function release(account: StreamAccount, prompt: Hold | undefined): void {
  account.letGo()
  prompt?.release()
}

/**
 * Admits a request that starts a stream. One that joins a stream spends nothing more, and adds no work: it counts as a
 * request only.
 *
 * @throws SluiceError
 */
async function enterLimits(
  context: RequestContext,
  services: Services,
  wish: Wish,
  idempotency: Idempotency | undefined,
): Promise<Admission | undefined> {
  const { caller } = context.state
  const joins = idempotency !== undefined && (await services.store.joins(caller.owner, idempotency))
  const overload = joins ? undefined : overloadOf(services, caller)
  if (overload) throw overload
  return services.limiter.counts(caller) ? admit(context, services, joins ? { kind: 'request' } : wish) : undefined
}

/** @throws SluiceError, with which the stream ends */
async function admitLate(
  context: RequestContext,
  services: Services,
  wish: Wish,
  log: StreamLog,
): Promise<Admission | undefined> {
  try {
    return await admit(context, services, wish)
  } catch (error) {
    throw endedBy(toSluiceError(error), log)
  }
}

/** In a function of its own, so that the stream does not keep what its closure needs. */
function wishOf({ accounts }: Services, input: ChatInput, { model: requested, targets: [first] }: Plan): Wish {
  const answerer = { provider: first.provider.name, model: first.model, requested }
  return {
    kind: 'stream',
    promptTokens: () => estimateTokens(input),
    maxTokens: askedTokens(input),
    costOf: (prompt_tokens, completion_tokens) =>
      accounts.nanosOf(
        { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens },
        answerer,
      ) ?? 0,
  }
}

/**
 * The request becomes a reader. While it waits for the whole answer and nobody else reads, its run may hold events back.
 *
 * In a function of its own: the closures live as long as the stream, and so would everything else in their scope.
 */
function enter(log: StreamLog, waits: boolean): Pick<OpenedStream, 'leave'> & { mayHoldBack: () => boolean } {
  let isWaiting = waits
  const leave = log.readerCount.enter()
  return {
    leave() {
      isWaiting = false
      leave()
    },
    // The request counts twice: by this entry, and by its subscription to the end.
    mayHoldBack: () => isWaiting && log.readerCount.total <= 2,
  }
}

export function shuttingDown(): SluiceError {
  return new SluiceError('gateway_shutdown', 'The gateway is shutting down; try another one.', { retryAfter: 5 })
}

/** Ends a stream that has no generation, for readers that have already found it. */
function endedBy(failure: SluiceError, log: StreamLog): SluiceError {
  const { code, message, retryable } = failure
  const { model, provider } = log.info
  log.append({ type: 'done', finish_reason: 'error', error: { code, message, retryable }, model, provider })
  return failure
}

/** https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/ */
function readIdempotency(context: RequestContext, services: Services, protocol: Protocol): Idempotency | undefined {
  const key = context.get('Idempotency-Key')
  const cursor = protocol.readCursor(context)
  const resuming = !isBeginning(cursor)
  if (key === '') {
    if (!resuming) return undefined
    throw invalidField(
      'invalid_request',
      'Idempotency-Key',
      `is required with ${cursor?.path}: without it this request would start, and pay for, a second answer`,
    )
  }
  if (cursor) countInvalid(services, () => checkSyntax(cursor))
  if (!/^[\x20-\x7e]{1,255}$/.test(key))
    throw invalidField('invalid_request', 'Idempotency-Key', 'must be 1 to 255 printable ASCII characters')
  const fingerprint = createHash('sha256').update(`${context.path}\n`).update(context.request.rawBody).digest('base64')
  return { key, fingerprint, resuming }
}
