import type { Admission } from '../access/admission.ts'
import { chargeFlow } from '../access/charge-flow.ts'
import { ORIGINAL } from '../chat-request.ts'
import type { Mode, Protocol } from '../protocols/protocol.ts'
import { Run } from '../routing/run.ts'
import { traceAttempts } from '../telemetry/observe-routing.ts'
import type { Hold } from '../store/budget.ts'
import type { Generation } from '../stream/generation.ts'
import type { StreamLog } from '../stream/stream-log.ts'
import { observeGeneration } from '../telemetry/observe-streams.ts'
import { afterThisTurn } from '../stream/event-loop.ts'
import { sampleBytes } from '../usage/prompt-sample.ts'
import { spentOn, type Charge } from '../usage/accounts.ts'
import { StreamAccount } from '../usage/stream-account.ts'
import { checkOtherModels, planAllowed, withAnswerLimit } from './admit.ts'
import type { RequestContext, Services } from './context.ts'
import { actForUserOf } from './middleware/authorize.ts'
import { findEarlier } from './earlier-streams.ts'
import { createWithinLimits, demandOf, shuttingDown } from './create-within-limits.ts'
import { readIdempotency } from './idempotency.ts'

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
  const { accounts, config, router, generations, metrics, logger } = services
  const { caller, client, requestId, trace } = context.state
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
  const demand = demandOf(services, parsed.input, plan)
  const { log, joined, admission } = await createWithinLimits(context, services, init, demand)
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
  const account = new StreamAccount(accounts, {
    log,
    input,
    caller,
    protocol: protocol.name,
    requested: plan.model,
    onCharge: admission && settles(admission),
  })
  const observer = observeGeneration(metrics, logger, {
    protocol: protocol.name,
    provider: provider.name,
    caller: caller.principal.name,
    requestId,
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
        observer: account.watch(traceAttempts(services.routing, { requestId, trace, streamId: log.info.id, input })),
      })
        .open(input)
        // After the first token has been sent.
        .finally(() => afterThisTurn(() => release(account, prompt))),
    resumeWindowMs: detached ? Infinity : protocol.reconnects ? config.resumeWindowMs : config.sdkResumeWindowMs,
    observer: admission ? chargeFlow(admission, observer) : observer,
  })
  return { log, generation, mode, detached, leave }
}

/** In a function of its own: the stream keeps it. */
function settles(admission: Admission): (charge: Charge) => void {
  return (charge) => void admission.settle(spentOn(charge))
}

/** Drops the conversation, and ends the count of its memory. */
function release(account: StreamAccount, prompt: Hold | undefined): void {
  account.letGo()
  prompt?.release()
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
