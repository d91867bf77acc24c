import type { ChatInput } from '../chat-request.ts'
import { SluiceError } from '../errors.ts'
import { checkEvent } from '../stream/check-event.ts'
import type { Done, StreamEvent } from '../stream/events.ts'
import type { Produced } from '../stream/generation.ts'
import type { Permit } from './breaker.ts'
import { errorOf, isTargetsFault, toError } from './failures.ts'
import type { RoutingObserver } from './observer.ts'
import { Patience } from './patience.ts'
import type { Target } from './target.ts'

/** An upstream that has sent this many deltas without a token answers in a form of its own, and is not held back. */
const MAX_HELD = 16

export interface AttemptContext {
  /** Of the whole request; the provider is given a signal of its own for each attempt. */
  signal: AbortSignal
  streamId: string
  apiKey: string | undefined
  headers: Readonly<Record<string, string>> | undefined
  observer: RoutingObserver | undefined
}

/**
 * One run of one target's provider. Whatever the provider does or fails to do, each read ends: with what it produced,
 * with its error, with `upstream_timeout`, or with the signal's reason.
 */
export class Attempt {
  readonly target: Target
  readonly #permit: Permit
  readonly #context: AttemptContext
  readonly #patience: Patience
  readonly #abort = new AbortController()
  #iterator: AsyncIterator<Produced> | undefined
  #done: Done | undefined
  #opened = false
  #finished = false
  // Of the read that is under way. Kept here, so that a timer or a signal can end it without racing every read
  // against a promise that lives as long as the stream, and would remember each of them.
  #resolve: (result: IteratorResult<Produced>) => void = () => {}
  #reject: (reason: unknown) => void = () => {}

  constructor(target: Target, permit: Permit, context: AttemptContext) {
    this.target = target
    this.#permit = permit
    this.#context = context
    this.#patience = new Patience(target.timeouts, (error) => this.#interrupt(error))
    context.signal.addEventListener('abort', this.#onAbort)
  }

  /**
   * Starts the provider and reads up to its first token, or `done`. What came before the token is held back until
   * then, so that an attempt that fails leaves no trace.
   *
   * @returns everything that was read
   */
  async open(input: ChatInput): Promise<StreamEvent[]> {
    const { model, provider, options, timeouts } = this.target
    const { streamId, apiKey, headers } = this.#context
    const { connectTimeoutMs } = timeouts
    const context = { signal: this.#abort.signal, streamId, options, apiKey, headers, connectTimeoutMs }
    this.#iterator = provider.stream({ ...input, model }, context)[Symbol.asyncIterator]()
    const held: StreamEvent[] = []
    while (!isAnswer(held)) {
      const result = await this.next()
      if (!result.done) for (const event of toList(result.value)) held.push(checkEvent(event))
    }
    const failure = this.#done && errorOf(this.#done)
    if (failure && !held.some(isToken)) throw failure
    this.#patience.answered()
    this.#permit.answered()
    this.#opened = true
    return held
  }

  /** What the provider produces next. @throws SluiceError `upstream_truncated` when it ends without `done` */
  next(): Promise<IteratorResult<Produced>> {
    if (!this.#done) return new Promise(this.#startRead)
    this.finish()
    return Promise.resolve({ value: undefined, done: true })
  }

  /** Ends it, on whichever side it has not ended, and says what came of it. Does nothing when it has. */
  finish(failure?: unknown): void {
    if (this.#finished) return
    this.#finished = true
    this.#patience.stop()
    this.#context.signal.removeEventListener('abort', this.#onAbort)
    const error = this.#judge(failure)
    this.#interrupt(new SluiceError('cancelled', 'The attempt is over.'))
    void this.#letGo()
    this.#context.observer?.ended(this.target, error)
    if (!error) this.#permit.succeeded()
    else if (isTargetsFault(error)) this.#permit.failed()
    else this.#permit.released()
  }

  #judge(failure: unknown): SluiceError | undefined {
    if (this.#done) return errorOf(this.#done)
    if (failure !== undefined && !this.#context.signal.aborted) return toError(failure)
    return new SluiceError('cancelled', 'The request is over.')
  }

  /** Not waited for: a provider that does not listen would never return. */
  async #letGo(): Promise<void> {
    try {
      await this.#iterator?.return?.()
    } catch {
      // It has failed in what it does after its end, which changes nothing for anybody.
    }
  }

  #interrupt(reason: unknown): void {
    this.#abort.abort(reason)
    this.#fail(reason)
  }

  // Bound once, for all reads: a token costs one promise here and no closure.

  readonly #onAbort = (): void => this.#interrupt(this.#context.signal.reason)

  readonly #startRead = (
    resolve: (result: IteratorResult<Produced>) => void,
    reject: (reason: unknown) => void,
  ): void => {
    this.#resolve = resolve
    this.#reject = reject
    this.#patience.wait()
    if (this.#abort.signal.aborted) reject(this.#abort.signal.reason)
    else this.#next()
  }

  /** After the first token an error is the caller's, and the end of the attempt. */
  readonly #fail = (error: unknown): void => {
    this.#reject(error)
    if (this.#opened) this.finish(error)
  }

  #next(): void {
    this.#iterator?.next().then(this.#onProduced, this.#fail)
  }

  readonly #onProduced = (result: IteratorResult<Produced>): void => {
    try {
      if (result.done) throw new SluiceError('upstream_truncated', 'The provider ended without saying how.')
      const produced = result.value
      // An empty list is no news: it wins the provider no time.
      if (isList(produced) && produced.length === 0) return this.#next()
      this.#patience.rest()
      // It may be anything until whoever reads it has checked it.
      const last: StreamEvent | undefined = isList(produced) ? produced.at(-1) : produced
      if (last?.type === 'done' && isEvent(last)) this.#done = last
      this.#resolve(result)
    } catch (error) {
      this.#fail(error)
    }
  }
}

function isEvent(event: StreamEvent): boolean {
  try {
    return checkEvent(event) === event
  } catch {
    return false // Its reader will find so too, and end the stream for it.
  }
}

function isAnswer(held: readonly StreamEvent[]): boolean {
  return held.length >= MAX_HELD || held.some((event) => event.type === 'done' || isToken(event))
}

function isToken(event: StreamEvent): boolean {
  if (event.type === 'done') return false
  const { content, reasoning, refusal, tool_calls } = event
  return Boolean(content) || Boolean(reasoning) || Boolean(refusal) || Boolean(tool_calls?.length)
}

function isList(produced: Produced): produced is readonly StreamEvent[] {
  return Array.isArray(produced)
}

function toList(produced: Produced): readonly StreamEvent[] {
  return isList(produced) ? produced : [produced]
}
