import type { ChatInput } from '../chat-request.ts'
import { SluiceError, toSluiceError, type ErrorCode } from '../errors.ts'
import type { StreamEvent } from '../stream/events.ts'
import type { Sink } from '../stream/source.ts'
import type { AnsweredBy } from '../stream/stream-log.ts'
import { Attempt, type AttemptEnd, type AttemptReports } from './attempt.ts'
import { pause as wait, errorOf, isKeysFault, isRateLimit, isTargetsFault, nextStep, type Pause } from './next-step.ts'
import type { Breaker, Permit } from './breaker.ts'
import { KeyRing, type Plan, type Target, type Random } from './target.ts'
import type { RoutingObserver } from './observer.ts'
import { HeldAnswer } from './held-answer.ts'
import { Opening } from './opening.ts'

/** The sink that a run feeds. */
export interface RunSink extends Sink {
  /**
   * Called once, before the first event, with the target that answers and the number of attempts over all targets. When
   * all targets have failed: called before the error, with the last target tried, or the plan's first if none could be
   * tried. Not called when the run's signal is aborted before that.
   */
  answeredBy(answer: AnsweredBy): void
  /** Set by a run that holds events back: called before the stream is cancelled, so that they are not lost. */
  beforeCancel?: (() => void) | undefined
}

export interface RunContext {
  /** Aborts the run at once, even while it waits for a retry. */
  signal: AbortSignal
  streamId: string
  /** Headers of the client's request, for providers of the same protocol. */
  headers?: Readonly<Record<string, string>> | undefined
  observer?: RoutingObserver | undefined
  /**
   * Whether the reader waits for the whole answer, and is the only one: then events may be held back until the end, so
   * that a failure in mid-answer is retried, too. Asked with each event, as other readers may come.
   */
  mayHoldBack?: (() => boolean) | undefined
  /** For tests. */
  pause?: Pause
  random?: Random
}

/**
 * Runs one request from the first attempt to the end of the answer. Attempts report to the run; only the run feeds the
 * sink.
 *
 * - *opening*: tries targets in order, with retries. Holds back an attempt's events until its first token, or, when
 *   the only reader waits for the whole, until the end.
 * - *answering*: a target has begun to answer. No more retries or fallbacks.
 * - *ended*: the sink has got `done` or a failure.
 */
export class Run implements AttemptReports {
  readonly #plan: Plan
  readonly #sink: RunSink
  readonly #context: RunContext
  readonly #random: Random
  readonly #keys: KeyRing
  /** Breakers that have counted a failure of this run: retries count once. Created lazily, as most runs have none. */
  #counted: Set<Breaker> | undefined
  #attempts = 0
  /** The attempt that has sent no token yet; undefined between attempts, and once a target answers. */
  #opening: OpenAttempt | undefined
  /** What the last attempt had said when it failed, if it was held back. Told when there is no further attempt. */
  #partial: HeldAnswer | undefined

  constructor(plan: Plan, sink: RunSink, context: RunContext) {
    this.#plan = plan
    this.#sink = sink
    this.#context = context
    this.#random = context.random ?? Math.random
    this.#keys = new KeyRing(this.#random)
  }

  /**
   * Resolves when a target answers, or when all have failed and the sink has got the failure. Keeps no reference to the
   * request after that.
   */
  async open(input: ChatInput): Promise<void> {
    try {
      const failure = await this.#tryTargets(input)
      if (failure) this.#sink.end(failure)
    } catch (error) {
      // The signal's reason, thrown by a wait.
      this.#sink.end({ error })
    }
  }

  onEvents(events: readonly StreamEvent[], at: number): void {
    const opening = this.#opening
    if (!opening) return this.#sink.push(events, at)
    if (opening.held) return this.#hold(opening, opening.held, events, at)
    const { attempt, brought } = opening
    brought.add(events)
    if (!brought.complete) return
    const { done, hasToken } = brought
    // The attempt's end follows and reports the failure.
    if (done && !hasToken && errorOf(done)) return
    if (!attempt.answered({ hasToken, done })) return
    const held = (opening.held = new HeldAnswer())
    if (this.#mayHoldBack) this.#hold(opening, held, brought.events, at)
    else this.#commit(opening, held, brought.events, at)
  }

  onAlive(at: number, held: number): void {
    this.#sink.alive?.(at, held + this.#heldBytes)
  }

  onEnd(end: AttemptEnd): void {
    const opening = this.#opening
    this.#opening = undefined
    this.#sink.beforeCancel = undefined
    this.#partial = opening?.held
    if (opening) opening.settle({ error: 'done' in end ? errorOf(end.done) : end.error })
    // Events already sent cannot be taken back, so there is no retry.
    else if ('error' in end) this.#sink.end(end)
  }

  get #mayHoldBack(): boolean {
    return this.#context.mayHoldBack?.() ?? false
  }

  get #heldBytes(): number {
    return (this.#opening?.held?.bytes ?? 0) + (this.#partial?.bytes ?? 0)
  }

  #hold(opening: OpenAttempt, held: HeldAnswer, events: readonly StreamEvent[], at: number): void {
    const last = events.at(-1)
    const done = last?.type === 'done' ? last : undefined
    const failed = done !== undefined && errorOf(done) !== undefined
    if (!failed && (done || held.full || !this.#mayHoldBack)) return this.#commit(opening, held, events, at)
    held.add(events, at)
    this.#sink.beforeCancel ??= () => this.#commit(opening, held)
    this.#sink.alive?.(at, this.#heldBytes)
  }

  /** Passes on the events so far: from now on the answer is not retried. */
  #commit({ target, settle }: OpenAttempt, held: HeldAnswer, events: readonly StreamEvent[] = [], at = 0): void {
    this.#opening = undefined
    this.#partial = undefined
    this.#sink.beforeCancel = undefined
    this.#reportAnswer(target)
    held.pushTo(this.#sink)
    if (events.length > 0) this.#sink.push(events, at)
    settle()
  }

  /** @returns the failure to report when no target answers */
  async #tryTargets(input: ChatInput): Promise<{ error: unknown } | undefined> {
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
        const failed = await this.#try(target, permit, input)
        if (!failed) return undefined
        signal.throwIfAborted()
        last = { target, error: failed.error }
        const error = toSluiceError(failed.error)
        reason = error.code
        const { retries, breaker, keys } = target
        const freshKey = this.#keys.hasFresh(keys)
        const next = nextStep({ error, retry, retries, closed: breaker.closed, freshKey }, this.#random)
        if (next.step === 'fail') return this.#giveUp(target, failed)
        if (next.step === 'next-target') break
        await pause(next.afterMs, signal)
      }
    }
    return this.#giveUp(last?.target ?? targets[0], last ?? { error: allOpen(targets) })
  }

  /** One attempt; resolves when its target answers, or with its failure before that. */
  async #try(target: Target, permit: Permit, input: ChatInput): Promise<{ error: unknown } | undefined> {
    const { signal, streamId, headers, observer } = this.#context
    this.#attempts += 1
    const key = this.#keys.draw(target.keys)
    const failed = await new Promise<{ error: unknown } | undefined>((settle) => {
      const attempt = new Attempt(target, permit, { signal, streamId, apiKey: key?.key, headers, observer }, this)
      this.#opening = { target, attempt, brought: new Opening(), settle }
      attempt.start(input)
    })
    if (!failed || signal.aborted) return failed
    const error = toSluiceError(failed.error)
    if (isTargetsFault(error)) (this.#counted ??= new Set()).add(target.breaker)
    if (key && isKeysFault(error)) this.#keys.refuse(key)
    // While another key is left, only the key is limited, not the target.
    if (isRateLimit(error) && !this.#keys.hasFresh(target.keys)) target.breaker.limit(error.retryAfter)
    return failed
  }

  #giveUp(target: Target, { error }: { error: unknown }): { error: unknown } {
    this.#reportAnswer(target)
    this.#partial?.pushTo(this.#sink)
    this.#partial = undefined
    return { error }
  }

  #reportAnswer({ provider, model }: Target): void {
    this.#sink.answeredBy({ provider: provider.name, model, attempts: this.#attempts })
  }
}

/** The attempt that may be retried. */
interface OpenAttempt {
  readonly target: Target
  readonly attempt: Attempt
  readonly brought: Opening
  /** The events since the first token, when they are held back. */
  held?: HeldAnswer
  readonly settle: (failed?: { error: unknown }) => void
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
