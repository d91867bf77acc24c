import { SluiceError, toSluiceError, type ErrorCode } from '../errors.ts'
import type { Breaker, Permit } from './breaker.ts'
import { isKeysFault, isRateLimit, isTargetsFault, nextStep } from './next-step.ts'
import type { RoutingObserver } from './observer.ts'
import { wait, type StopSignal } from '../stream/stop-signal.ts'
import { KeyRing, type Plan, type Target, type Random } from './target.ts'

export interface TriesContext {
  /** Aborts everything at once, even the wait for a retry. */
  signal: StopSignal
  observer?: RoutingObserver | undefined
  /** For tests. */
  pause?: typeof wait
  random?: Random
}

/** A failure before anything of an answer was passed on. */
export interface Failed {
  error: unknown
  /** The request cannot be sent again: no retry, no other target. */
  final?: boolean
}

/** One try of a target with one of its keys; resolves when the target answers, or with its failure before that. */
export type Attempting = (target: Target, permit: Permit, apiKey: string | undefined) => Promise<Failed | undefined>

/** Tries the targets of a plan in their order, with retries and other keys, until one answers. */
export class Tries {
  /** Over all targets. */
  attempts = 0
  readonly #plan: Plan
  readonly #context: TriesContext
  readonly #random: Random
  readonly #keys: KeyRing
  /** Breakers that have counted a failure of this request: retries count once. Created lazily, as most have none. */
  #counted: Set<Breaker> | undefined

  constructor(plan: Plan, context: TriesContext) {
    this.#plan = plan
    this.#context = context
    this.#random = context.random ?? Math.random
    this.#keys = new KeyRing(this.#random)
  }

  /**
   * @returns the failure to report when no target answers, with the last target tried, or the first if none could be
   * @throws the signal's reason
   */
  async run(attempt: Attempting): Promise<(Failed & { target: Target }) | undefined> {
    const { signal, observer, pause = wait } = this.#context
    const { targets } = this.#plan
    let last: { target: Target; error: unknown } | undefined
    for (const target of withoutLimited(targets)) {
      let reason: ErrorCode | undefined
      for (let retry = 0; ; retry++) {
        signal.throwIfAborted()
        const permit = target.breaker.enter(this.#counted?.has(target.breaker))
        if (!permit) break
        if (reason) observer?.retried(target, reason)
        const failed = await this.#try(target, permit, attempt)
        if (!failed) return undefined
        signal.throwIfAborted()
        last = { target, error: failed.error }
        if (failed.final) return last
        const error = toSluiceError(failed.error)
        reason = error.code
        const { retries, breaker, keys } = target
        const freshKey = this.#keys.hasFresh(keys)
        const next = nextStep({ error, retry, retries, closed: breaker.closed, freshKey }, this.#random)
        if (next.step === 'fail') return last
        if (next.step === 'next-target') break
        await pause(next.afterMs, signal)
      }
    }
    return last ?? { target: targets[0], error: allOpen(targets) }
  }

  async #try(target: Target, permit: Permit, attempt: Attempting): Promise<Failed | undefined> {
    this.attempts += 1
    const key = this.#keys.draw(target.keys)
    const failed = await attempt(target, permit, key?.key)
    if (!failed || this.#context.signal.aborted) return failed
    const error = toSluiceError(failed.error)
    if (isTargetsFault(error)) (this.#counted ??= new Set()).add(target.breaker)
    if (key && isKeysFault(error)) this.#keys.refuse(key)
    // While another key is left, only the key is limited, not the target.
    if (isRateLimit(error) && !this.#keys.hasFresh(target.keys)) target.breaker.limit(error.retryAfter)
    return failed
  }
}

/**
 * Drops rate-limited targets while another can be tried. Checked once per run: retries already wait for `Retry-After`.
 */
function withoutLimited(targets: Plan['targets']): readonly Target[] {
  if (targets.length === 1) return targets
  const free = targets.filter(({ breaker }) => !breaker.limited)
  return free.some(({ breaker }) => breaker.ready) ? free : targets
}

function allOpen(targets: readonly Target[]): SluiceError {
  return new SluiceError('upstream_unavailable', 'The upstream has failed too often, and is left alone for a while.', {
    retryAfter: Math.min(...targets.map(({ breaker }) => breaker.retryAfter)),
  })
}
