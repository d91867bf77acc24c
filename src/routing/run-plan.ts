import type { ChatInput } from '../chat-request.ts'
import { SluiceError, toSluiceError, type ErrorCode } from '../errors.ts'
import type { Sink } from '../stream/source.ts'
import type { Answer } from '../stream/stream-log.ts'
import { Attempt } from './attempt.ts'
import { pause as wait, retryDelay, type Pause } from './backoff.ts'
import type { Breaker } from './breaker.ts'
import { isKeysFault, isRateLimit, isRequestsFault, isTargetsFault } from './failures.ts'
import { KeyRing } from './keys.ts'
import type { RoutingObserver } from './observer.ts'
import type { Plan, Target } from './target.ts'
import type { Random } from './weights.ts'

export interface RunContext {
  /** Ends everything at once, waits included. */
  signal: AbortSignal
  streamId: string
  /** Of the client's request, for providers of the same protocol. */
  headers?: Readonly<Record<string, string>> | undefined
  /**
   * Called once, before the first event: who answers, and how many attempts over all targets it took. When all have
   * failed: the last that was tried, before the error is thrown; the first of the plan when none may be tried. Not
   * called when `signal` is aborted before that.
   */
  onAnswer?: ((answer: Answer) => void) | undefined
  observer?: RoutingObserver | undefined
  /** For tests. */
  pause?: Pause
  random?: Random
}

/**
 * Runs the targets of a plan until one answers, and that one into `sink`. Until its first token a target may be tried
 * again or be left for the next; from then on nothing is started again, and its end is the sink's to hear of.
 *
 * Resolves when one has answered.
 * @throws SluiceError (or whatever the last provider threw), or the signal's reason, when none has
 */
export async function runPlan({ targets }: Plan, input: ChatInput, sink: Sink, context: RunContext): Promise<void> {
  const { signal, streamId, headers, observer, pause = wait, random = Math.random } = context
  const keys = new KeyRing(random)
  /** Breakers that have counted a failure of this run: retries of one request count once. */
  const counted = new Set<Breaker>()
  let attempts = 0
  let last: { target: Target; failure: unknown } | undefined

  for (const target of withoutLimited(targets)) {
    let reason: ErrorCode | undefined
    for (let retry = 0; ; retry++) {
      signal.throwIfAborted()
      const permit = target.breaker.enter(counted.has(target.breaker))
      if (!permit) break
      if (reason) observer?.retried(target, reason)
      attempts += 1
      const key = keys.draw(target.keys)
      const attempt = new Attempt(target, permit, { signal, streamId, apiKey: key?.key, headers, observer })
      try {
        return await attempt.open(input, sink, () => tell(context, target, attempts))
      } catch (failure) {
        signal.throwIfAborted()
        last = { target, failure }
      }
      const error = toSluiceError(last.failure)
      if (isRequestsFault(error)) {
        tell(context, target, attempts)
        throw last.failure
      }
      if (isTargetsFault(error)) counted.add(target.breaker)
      if (key && isKeysFault(error)) keys.refuse(key)
      // While another key is left, only the key is limited, not the target.
      if (isRateLimit(error) && !keys.hasFresh(target.keys)) target.breaker.limit(error.retryAfter)
      if (retry >= target.retries || !target.breaker.closed) break
      // Another key is another customer, whom nobody asked to wait.
      const delay = isKeysFault(error) && keys.hasFresh(target.keys) ? 0 : retryDelay(retry, error, random)
      if (delay === undefined) break
      reason = error.code
      await pause(delay, signal)
    }
  }
  tell(context, last?.target ?? targets[0], attempts)
  throw last ? last.failure : allOpen(targets)
}

/**
 * Drops rate-limited targets while another can be tried. Checked once per run: retries already wait for `Retry-After`.
 */
function withoutLimited(targets: Plan['targets']): readonly Target[] {
  if (targets.length === 1) return targets
  const free = targets.filter(({ breaker }) => !breaker.limited)
  return free.some(({ breaker }) => breaker.ready) ? free : targets
}

function tell({ onAnswer }: RunContext, { provider, model }: Target, attempts: number): void {
  onAnswer?.({ provider: provider.name, model, attempts })
}

function allOpen(targets: readonly Target[]): SluiceError {
  return new SluiceError('upstream_unavailable', 'The upstream has failed too often, and is left alone for a while.', {
    retryAfter: Math.min(...targets.map(({ breaker }) => breaker.retryAfter)),
  })
}
