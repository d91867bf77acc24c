import type { ChatInput } from '../chat-request.ts'
import { Ended, SluiceError, toSluiceError } from '../errors.ts'
import type { Done, StreamEvent } from '../stream/events.ts'
import { pipeToSink, type Sink } from '../stream/source.ts'
import { Stopper, type StopSignal } from '../stream/stop-signal.ts'
import { AttemptTimeouts } from './attempt-timeouts.ts'
import type { Permit } from './breaker.ts'
import { errorOf, isTargetsFault } from './next-step.ts'
import type { AttemptObserver, RoutingObserver } from './observer.ts'
import type { Target } from './target.ts'

export interface AttemptContext {
  /** Aborts the whole request. The provider gets a separate signal for each attempt. */
  signal: StopSignal
  streamId: string
  apiKey: string | undefined
  headers: Readonly<Record<string, string>> | undefined
  observer: RoutingObserver | undefined
}

/** Reports from an attempt: signs of life and events, then its end exactly once, then nothing more. */
export interface AttemptReports {
  onEvents(events: readonly StreamEvent[], at: number): void
  /** @param held bytes since the last event, which may be held in memory */
  onAlive(at: number, held: number): void
  onEnd(end: AttemptEnd): void
}

/** With `done`, which `onEvents` has already reported; or with the error of a failed attempt. */
export type AttemptEnd = { done: Done } | { error: unknown }

/**
 * One try of one target. However the provider behaves, the attempt reports an end: the provider's `done`, its error,
 * `upstream_timeout`, or the signal's reason.
 */
export class Attempt implements Sink {
  readonly #target: Target
  readonly #permit: Permit
  readonly #context: AttemptContext
  readonly #reports: AttemptReports
  readonly #timeouts: AttemptTimeouts
  readonly #observer: AttemptObserver | undefined
  readonly #stopper = new Stopper()
  /** Set before it is reported: a listener may abort the signal during the report. */
  #done: Done | undefined
  #ended = false
  #stop: (() => void) | undefined

  constructor(target: Target, permit: Permit, context: AttemptContext, reports: AttemptReports) {
    this.#target = target
    this.#permit = permit
    this.#context = context
    this.#reports = reports
    this.#timeouts = new AttemptTimeouts(target.timeouts, (error) => this.#interrupt(error))
    this.#observer = context.observer?.started(target)
    context.signal.addEventListener('abort', this.#onAbort)
  }

  start(input: ChatInput): void {
    const { model, provider, options, timeouts } = this.#target
    const { streamId, apiKey, headers } = this.#context
    const { connectTimeoutMs } = timeouts
    const { traceHeaders } = this.#observer ?? {}
    const stopped = this.#stopper
    try {
      this.#stop = pipeToSink(
        provider.stream(
          { ...input, model },
          {
            get signal() {
              return stopped.signal
            },
            stopped,
            streamId,
            options,
            apiKey,
            headers,
            traceHeaders,
            connectTimeoutMs,
          },
        ),
        this,
      )
    } catch (error) {
      this.#end({ error })
    }
    if (this.#ended) this.#stop?.()
  }

  /**
   * The first token or the end has come: from now on the idle timeout applies.
   *
   * @param hasToken whether the events so far hold a token
   * @returns false when the attempt had already ended; that end has been reported
   */
  answered({ hasToken, done }: { hasToken: boolean; done: Done | undefined }): boolean {
    // After `done` no timeout applies.
    if (!done) this.#timeouts.answered()
    if (this.#ended) return false
    this.#permit.answered()
    if (hasToken) this.#observer?.answered()
    return true
  }

  push(events: readonly StreamEvent[], at: number): void {
    this.#timeouts.heard(at)
    const last = events.at(-1)
    if (last?.type === 'done') this.#done = last
    this.#reports.onEvents(events, at)
    if (this.#done) this.#end({ done: this.#done })
  }

  alive(at: number, held: number): void {
    this.#timeouts.heard(at)
    this.#reports.onAlive(at, held)
  }

  end(failure?: { error: unknown }): void {
    this.#end(failure ?? { error: new SluiceError('upstream_truncated', 'The provider ended without saying how.') })
  }

  readonly #onAbort = (): void => this.#interrupt(this.#context.signal.reason)

  #interrupt(reason: unknown): void {
    this.#stopper.abort(reason)
    this.#end(this.#done ? { done: this.#done } : { error: reason })
  }

  /** Every end of the attempt goes through here. The first call wins. */
  #end(end: AttemptEnd): void {
    if (this.#ended) return
    this.#ended = true
    this.#timeouts.stop()
    this.#reports.onAlive(performance.now(), 0)
    this.#context.signal.removeEventListener('abort', this.#onAbort)
    const error = this.#judge(end)
    this.#stopper.abort(ENDED)
    // Not awaited: a provider that ignores the signal would never end.
    this.#stop?.()
    this.#observer?.ended(error, 'done' in end ? end.done : undefined)
    if (!error) this.#permit.succeeded()
    else if (isTargetsFault(error)) this.#permit.failed()
    else this.#permit.released()
    this.#reports.onEnd(end)
  }

  #judge(end: AttemptEnd): SluiceError | undefined {
    if ('done' in end) return errorOf(end.done)
    if (!this.#context.signal.aborted) return toSluiceError(end.error)
    return new SluiceError('cancelled', 'The request is over.')
  }
}

/** Shared by all attempts: capturing a stack trace for each is expensive, and nobody reads it. */
const ENDED = new Ended('The attempt has ended.')
