import type { ChatInput } from '../chat-request.ts'
import type { StreamEvent } from '../stream/events.ts'
import type { Sink } from '../stream/source.ts'
import type { AnsweredBy } from '../stream/stream-log.ts'
import { Attempt, type AttemptEnd, type AttemptReports } from './attempt.ts'
import { errorOf } from './next-step.ts'
import type { Permit } from './breaker.ts'
import type { Plan, Target } from './target.ts'
import { Tries, type TriesContext } from './tries.ts'
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

export interface RunContext extends TriesContext {
  streamId: string
  /** Headers of the client's request, for providers of the same protocol. */
  headers?: Readonly<Record<string, string>> | undefined
  /**
   * Whether the reader waits for the whole answer, and is the only one: then events may be held back until the end, so
   * that a failure in mid-answer is retried, too. Asked with each event, as other readers may come.
   */
  mayHoldBack?: (() => boolean) | undefined
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
  readonly #sink: RunSink
  readonly #context: RunContext
  readonly #tries: Tries
  /** The attempt that has sent no token yet; undefined between attempts, and once a target answers. */
  #opening: OpenAttempt | undefined
  /** What the last attempt had said when it failed, if it was held back. Told when there is no further attempt. */
  #partial: HeldAnswer | undefined

  constructor(plan: Plan, sink: RunSink, context: RunContext) {
    this.#sink = sink
    this.#context = context
    this.#tries = new Tries(plan, context)
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
    this.#partial = opening?.held
    // A cancel while the next attempt is waited for must not lose what was held back.
    this.#sink.beforeCancel = opening?.held && (() => this.#tellPartial(opening.target))
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
    if (held.bytes === 0) this.#sink.beforeCancel = () => this.#commit(opening, held)
    held.add(events, at)
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
    const failed = await this.#tries.run((target, permit, apiKey) => this.#try(target, permit, apiKey, input))
    return failed && this.#giveUp(failed.target, failed)
  }

  /** One attempt; resolves when its target answers, or with its failure before that. */
  #try(
    target: Target,
    permit: Permit,
    apiKey: string | undefined,
    input: ChatInput,
  ): Promise<{ error: unknown } | undefined> {
    const { signal, streamId, headers, observer } = this.#context
    return new Promise((settle) => {
      const attempt = new Attempt(target, permit, { signal, streamId, apiKey, headers, observer }, this)
      this.#opening = { target, attempt, brought: new Opening(), settle }
      attempt.start(input)
    })
  }

  #giveUp(target: Target, { error }: { error: unknown }): { error: unknown } {
    this.#tellPartial(target)
    return { error }
  }

  /** What an attempt had said before it failed is the answer, as there is no better one. */
  #tellPartial(target: Target): void {
    const partial = this.#partial
    this.#partial = undefined
    this.#sink.beforeCancel = undefined
    this.#reportAnswer(target)
    partial?.pushTo(this.#sink)
  }

  #reportAnswer({ provider, model }: Target): void {
    this.#sink.answeredBy({ provider: provider.name, model, attempts: this.#tries.attempts })
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
