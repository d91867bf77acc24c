// What writes a log, and all the generations that do so in this process.

import { Ended, SluiceError, toFailedDone } from '../errors.ts'
import type { Done, StreamEvent } from './events.ts'
import { isLongText, splitLongText, endsInHalf, WholeCharacters } from './delta-text.ts'
import type { ReaderListener } from './readers.ts'
import type { Sink } from './source.ts'
import { Stopper, type StopSignal } from './stop-signal.ts'
import type { AnsweredBy, StreamLog } from './stream-log.ts'

export interface GenerationOptions {
  log: StreamLog
  /** Feeds the provider's events into the generation until `signal` is aborted. Throwing fails the stream. */
  produce: (signal: StopSignal, generation: Generation) => void | Promise<void>
  /** How long to go on without a reader, in milliseconds; `Infinity` for as long as it takes. */
  resumeWindowMs: number
  /** Notified of the generation's progress, for metrics and logs. */
  observer?: GenerationObserver
  /** Adds usage and cost to the stream's end. */
  account?: Account
}

/** Settles usage and cost of a stream, before its `done` is in the log. Nothing more is appended meanwhile. */
export interface Account {
  /** May change `done`. Returns a promise only when there is something to count. */
  settle(done: Done): Done | Promise<Done>
  /** At once, and less exactly, for a stream that must make room. */
  settleNow(done: Done): Done
  /** Once, when `done` is in the log. */
  settled(done: Done): void
}

/** Times in seconds. */
export interface GenerationObserver {
  firstToken(generation: Generation, sinceStart: number): void
  /** `count` deltas arrived together, `gap` after the previous ones. */
  tokens(generation: Generation, count: number, gap: number): void
  /** `cause` is the thrown value, if any. */
  finished(generation: Generation, done: Done, cause: unknown): void
}

/**
 * One run of one provider: the only writer of its log. However the provider behaves, the log ends in exactly one
 * `done`, and once it has ended nothing more is read from the provider.
 */
export class Generation implements Sink, ReaderListener {
  readonly log: StreamLog
  readonly startedAt = performance.now()
  /** When the first delta arrived; undefined until then. */
  firstTokenAt: number | undefined
  /** The thrown value, if it ended the stream. */
  failure: unknown
  /** Called before the stream is cancelled: a producer that holds events back passes them on. */
  beforeCancel: (() => void) | undefined
  /** Resolved when `done` is in the log. */
  readonly ended: Promise<void>
  #resolveEnded: () => void = () => {}
  /** Dropped once called: it references the whole conversation, which must not live as long as the stream. */
  #produce: GenerationOptions['produce'] | undefined
  readonly #resumeWindowMs: number
  readonly #observer: GenerationObserver | undefined
  readonly #account: Account | undefined
  readonly #stopper = new Stopper()
  /** Made for the first delta that needs it. */
  #characters: WholeCharacters | undefined
  #lastTokenAt = 0
  #resumeWindow: NodeJS.Timeout | undefined
  /** Set by the first end: nothing more is appended but this `done`. */
  #ending: Done | undefined

  constructor({ log, produce, resumeWindowMs, observer, account }: GenerationOptions) {
    this.log = log
    this.#produce = produce
    this.#resumeWindowMs = resumeWindowMs
    this.#observer = observer
    this.#account = account
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve
    })
  }

  /** Runs the provider to its end. Never rejects: a failure is a `done` in the log. */
  run(): Promise<void> {
    if (this.log.done) return Promise.resolve()
    this.log.readerCount.listen(this)
    this.log.onDisplaced = (error) => this.#endNow(toFailedDone(error), error)
    this.readersChanged()
    void this.#start()
    return this.ended
  }

  /**
   * Stops the provider at once, and ends the stream for every reader as soon as its tokens are counted (`ended`). Does
   * nothing when it has ended.
   */
  cancel(done: Done = { type: 'done', finish_reason: 'cancelled' }): void {
    if (this.#ending) return
    this.beforeCancel?.()
    this.#end(done)
  }

  answeredBy(answer: AnsweredBy): void {
    if (!this.#ending) this.log.appendAnswer(answer)
  }

  push(events: readonly StreamEvent[], at: number): void {
    if (this.#ending) return
    if (this.log.held > 0) this.log.hold(0)
    let count = 0
    let done: Done | undefined
    let failure: unknown
    try {
      for (const event of events)
        if (event.type === 'done') done = event
        else {
          if (endsInHalf(event)) this.#characters ??= new WholeCharacters()
          const delta = this.#characters ? this.#characters.take(event) : event
          if (delta && isLongText(delta)) for (const part of splitLongText(delta)) this.log.append(part, at)
          else if (delta) this.log.append(delta, at)
          count += 1
        }
    } catch (error) {
      failure = error
      done = toFailedDone(error)
    }
    this.#observeTokens(count, at)
    if (done) this.#end(done, failure)
  }

  alive(_at: number, held: number): void {
    if (this.#ending || held === this.log.held) return
    try {
      this.log.hold(held)
    } catch (error) {
      this.end({ error })
    }
  }

  end(failure?: { error: unknown }): void {
    if (this.#ending) return
    if (failure) this.#end(toFailedDone(failure.error), failure.error)
    else this.#end(toFailedDone(new SluiceError('upstream_truncated', 'The provider ended without saying how.')))
  }

  async #start(): Promise<void> {
    const produce = this.#produce
    this.#produce = undefined
    try {
      await produce?.(this.#stopper, this)
    } catch (error) {
      this.end({ error })
    }
  }

  #observeTokens(count: number, at: number): void {
    if (count === 0) return
    if (this.firstTokenAt === undefined) {
      this.firstTokenAt = at
      this.#observer?.firstToken(this, (at - this.startedAt) / 1000)
    } else {
      this.#observer?.tokens(this, count, (at - this.#lastTokenAt) / 1000)
    }
    this.#lastTokenAt = at
  }

  /** Every end of the stream goes through here, or through `#endNow`. The first call wins. */
  #end(done: Done, cause?: unknown): void {
    if (this.#ending) return
    const signed = this.#stop(done, cause)
    const settled = this.#settle(signed)
    if (settled instanceof Promise)
      settled.then(
        (each) => this.#append(each),
        () => this.#append(this.#settleNow(signed)),
      )
    else this.#append(settled)
  }

  /** Ends the stream within this call, even when it is ending already. */
  #endNow(done: Done, cause: unknown): void {
    this.#append(this.#settleNow(this.#ending ?? this.#stop(done, cause)))
  }

  /** Stops everything that could append. */
  #stop(done: Done, cause: unknown): Done {
    const { log } = this
    const { model, provider } = log.answer ?? log.info
    // Not an object spread: V8 would keep a separate hidden class for each such object as long as the log lives.
    let signed: Done = Object.assign({}, done, { model: done.model ?? model, provider: done.provider ?? provider })
    this.#ending = signed
    this.failure = cause
    log.readerCount.unlisten(this)
    clearTimeout(this.#resumeWindow)
    log.hold(0)
    try {
      for (const delta of this.#characters?.rest() ?? []) log.append(delta)
    } catch (error) {
      // A held half character found no room.
      this.failure = error
      this.#ending = signed = { ...toFailedDone(error), model, provider }
    }
    this.#stopper.abort(ENDED)
    return signed
  }

  #settle(done: Done): Done | Promise<Done> {
    try {
      return this.#account?.settle(done) ?? done
    } catch {
      return this.#settleNow(done)
    }
  }

  #settleNow(done: Done): Done {
    return this.#account?.settleNow(done) ?? done
  }

  #append(done: Done): void {
    const { log } = this
    // Displaced while its tokens were counted.
    if (log.done) return
    log.onDisplaced = undefined
    let appended = done
    try {
      log.append(appended)
    } catch (error) {
      // `done` holds a value without a JSON form, or nested too deeply, or is too large.
      this.failure = error
      const { model, provider } = log.answer ?? log.info
      appended = this.#settleNow({ ...toFailedDone(error), model, provider })
      log.append(appended)
    }
    this.#resolveEnded()
    this.#account?.settled(appended)
    this.#observer?.finished(this, appended, this.failure)
  }

  /** Without readers on any node, the provider keeps running for the resume window; then the stream is cancelled. */
  readersChanged(): void {
    clearTimeout(this.#resumeWindow)
    if (this.#resumeWindowMs === Infinity) return
    if (this.log.readerCount.total === 0) this.#resumeWindow = setTimeout(() => this.cancel(), this.#resumeWindowMs)
  }
}

const ENDED = new Ended('The stream has ended.')

/** The generations that run in this process. */
export class Generations {
  readonly #running = new Map<string, Generation>()
  #onIdle: (() => void)[] = []

  get size(): number {
    return this.#running.size
  }

  start(options: GenerationOptions): Generation {
    const generation = new Generation(options)
    const { id } = options.log.info
    this.#running.set(id, generation)
    // When its log has ended, whatever its provider may still be doing. Keeps no more than the id until then.
    void generation.run().then(() => this.#forget(id))
    return generation
  }

  /** Stops a generation for everybody; resolves when it has ended. Undefined when it does not run here. */
  cancel(id: string): Promise<void> | undefined {
    const generation = this.#running.get(id)
    generation?.cancel()
    return generation?.ended
  }

  /** Ends all that run in the same way. */
  endAll(done: Done): void {
    for (const generation of this.#running.values()) generation.cancel(done)
  }

  /** Resolves when none runs. */
  async idle(): Promise<void> {
    if (this.#running.size > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve))
  }

  /** Resolves when all that run now have ended. */
  async currentEnded(): Promise<void> {
    await Promise.all([...this.#running.values()].map(({ ended }) => ended))
  }

  #forget(id: string): void {
    this.#running.delete(id)
    if (this.#running.size > 0) return
    for (const resolve of this.#onIdle) resolve()
    this.#onIdle = []
  }
}
