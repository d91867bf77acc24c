// Creates the stream of a request, once the limits of its caller and the load of the gateway let it in.

import { NOTHING, type Admission } from '../access/admission.ts'
import { askedTokens } from '../access/answer-size.ts'
import type { Demand } from '../access/limiter.ts'
import type { ChatInput } from '../chat-request.ts'
import { SluiceError, toSluiceError } from '../errors.ts'
import type { Plan } from '../routing/target.ts'
import type { Idempotency } from '../store/directory.ts'
import type { Created, StreamInit } from '../store/stream-store.ts'
import type { StreamLog } from '../stream/stream-log.ts'
import { estimateTokens } from '../usage/estimate-tokens.ts'
import { admit, overloadOf } from './admit.ts'
import type { RequestContext, Services } from './context.ts'
import { countMissing } from './resume-stream.ts'

export interface Admitted extends Created {
  /** Undefined where nothing is limited, and for a stream that was joined. */
  admission: Admission | undefined
}

/**
 * Creates the stream, or joins the one with the same `Idempotency-Key`.
 *
 * @param demand asked only if something is limited
 * @throws SluiceError; nothing that was taken from limits is kept then
 */
export async function createWithinLimits(
  context: RequestContext,
  services: Services,
  init: StreamInit,
  demand: () => Demand,
): Promise<Admitted> {
  const { limiter, load, store } = services
  const { caller } = context.state
  let admission: Admission | undefined
  // Not `.catch()`: it would create one more promise per stream.
  let created: Created
  try {
    if (limiter.counts(caller) || load.refusal())
      admission = await enterLimits(context, services, demand, init.idempotency)
    created = await store.create(init)
  } catch (error) {
    void admission?.settle(NOTHING)
    return countMissing(services, error)
  }
  const { log, joined } = created
  if (joined) {
    void admission?.settle(NOTHING)
    return { log, joined, admission: undefined }
  }
  // The stream that it was to join has been cancelled, so it starts one after all.
  if (!admission && limiter.counts(caller)) admission = await admitLate(context, services, demand(), log)
  // A drain may have begun during the `await`, which would not end this stream; or other streams may have started.
  const refusal = services.draining ? shuttingDown() : overloadOf(services, caller)
  if (!refusal) return { log, joined, admission }
  void admission?.settle(NOTHING)
  throw endedBy(refusal, log)
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
  demand: () => Demand,
  idempotency: Idempotency | undefined,
): Promise<Admission | undefined> {
  const { caller } = context.state
  const joins = idempotency !== undefined && (await services.store.joins(caller.owner, idempotency))
  const overload = joins ? undefined : overloadOf(services, caller)
  if (overload) throw overload
  return services.limiter.counts(caller) ? admit(context, services, joins ? { kind: 'request' } : demand()) : undefined
}

/** @throws SluiceError, with which the stream ends */
async function admitLate(
  context: RequestContext,
  services: Services,
  demand: Demand,
  log: StreamLog,
): Promise<Admission | undefined> {
  try {
    return await admit(context, services, demand)
  } catch (error) {
    throw endedBy(toSluiceError(error), log)
  }
}

/** In a function of its own, so that the stream does not keep what its closure needs. */
export function demandOf(
  { accounts }: Services,
  input: ChatInput,
  { model: requested, targets: [first] }: Plan,
): () => Demand {
  const answerer = { provider: first.provider.name, model: first.model, requested }
  const costOf = (prompt_tokens: number, completion_tokens: number) =>
    accounts.nanosOf({ prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens }, answerer) ??
    0
  return () => ({
    kind: 'stream',
    promptTokens: () => estimateTokens(input),
    maxTokens: askedTokens(input),
    costOf,
  })
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
