import type { ChatInput } from '../chat-request.ts'
import { Ended, SluiceError, toSluiceError } from '../errors.ts'
import type { Done, StreamEvent } from '../stream/events.ts'
import { pour, type Sink } from '../stream/source.ts'
import type { Permit } from './breaker.ts'
import { errorOf, isTargetsFault } from './failures.ts'
import type { AttemptObserver, RoutingObserver } from './observer.ts'
import { Patience } from './patience.ts'
import type { Target } from './target.ts'

/**
 * An upstream that sends this many deltas, or this much in them, without a token answers in a form of its own. It is no
 * longer held back: from here on the limits of the log apply.
 */
const MAX_HELD = 16
const MAX_HELD_CHARACTERS = 64 * 1024

export interface AttemptContext {
  /** Of the whole request; the provider is given a signal of its own for each attempt. */
  signal: AbortSignal
  streamId: string
  apiKey: string | undefined
  headers: Readonly<Record<string, string>> | undefined
  observer: RoutingObserver | undefined
}

/**
 * One run of one target's provider. Whatever the provider does or fails to do, its sink hears of an end: the
 * provider's own, its error, `upstream_timeout`, or the signal's reason.
 */
export class Attempt implements Sink {
  readonly target: Target
  readonly #permit: Permit
  readonly #context: AttemptContext
  readonly #patience: Patience
  readonly #observer: AttemptObserver | undefined
  readonly #abort = new AbortController()
  /** What came before the first token is held back, so that an attempt that fails leaves no trace. */
  #opening: Opening | undefined
  #sink: Sink | undefined
  #done: Done | undefined
  #finished = false
  #stop: (() => void) | undefined

  constructor(target: Target, permit: Permit, context: AttemptContext) {
    this.target = target
    this.#permit = permit
    this.#context = context
    this.#patience = new Patience(target.timeouts, (error) => this.#interrupt(error))
    this.#observer = context.observer?.started(target, context.streamId)
    context.signal.addEventListener('abort', this.#onAbort)
  }

  /**
   * Starts the provider. Resolves when its first token, or `done`, has come: `onAnswer` has been called by then, and
   * `sink` has had all that came and hears of the rest. Rejects when it fails before that, with nothing pushed.
   */
  open(input: ChatInput, sink: Sink, onAnswer: () => void): Promise<void> {
    const { model, provider, options, timeouts } = this.target
    const { streamId, apiKey, headers } = this.#context
    const { connectTimeoutMs } = timeouts
    const { traceHeaders } = this.#observer ?? {}
    const context = { signal: this.#abort.signal, streamId, options, apiKey, headers, traceHeaders, connectTimeoutMs }
    this.#sink = sink
    return new Promise((resolve, reject) => {
      this.#opening = { held: [], characters: 0, onAnswer, resolve, reject }
      try {
        this.#stop = pour(provider.stream({ ...input, model }, context), this)
      } catch (error) {
        this.#fail(error)
      }
      if (this.#finished) this.#stop?.()
    })
  }

  push(events: readonly StreamEvent[], at: number): void {
    if (this.#finished) return
    this.#patience.heard(at)
    const last = events.at(-1)
    if (last?.type === 'done') this.#done = last
    if (this.#opening) this.#hold(this.#opening, events, at)
    else this.#sink?.push(events, at)
    if (this.#done && !this.#opening) this.#finish()
  }

  alive(at: number, held: number): void {
    if (this.#finished) return
    this.#patience.heard(at)
    this.#sink?.alive?.(at, held)
  }

  end(failure?: { error: unknown }): void {
    if (this.#finished) return
    if (failure) this.#fail(failure.error)
    else this.#fail(new SluiceError('upstream_truncated', 'The provider ended without saying how.'))
  }

  /** Ends it, on whichever side it has not ended, and says what came of it. Does nothing when it has. */
  #finish(failure?: unknown): void {
    if (this.#finished) return
    this.#finished = true
    this.#patience.stop()
    this.#sink?.alive?.(performance.now(), 0)
    this.#context.signal.removeEventListener('abort', this.#onAbort)
    const error = this.#judge(failure)
    this.#abort.abort(ENDED)
    // Not waited for: a provider that does not listen would never come to its end.
    this.#stop?.()
    this.#observer?.ended(error, this.#done)
    if (!error) this.#permit.succeeded()
    else if (isTargetsFault(error)) this.#permit.failed()
    else this.#permit.released()
  }

  #hold(opening: Opening, events: readonly StreamEvent[], at: number): void {
    const { held, onAnswer, resolve } = opening
    for (const event of events) held.push(event)
    if (!isAnswer(held) && !isTooMuch(opening, events)) return
    const failure = this.#done && errorOf(this.#done)
    if (failure && !held.some(isToken)) return this.#fail(failure)
    // After `done` no timeout applies.
    if (!this.#done) this.#patience.answered()
    if (this.#finished) return
    this.#opening = undefined
    this.#permit.answered()
    if (held.some(isToken)) this.#observer?.answered()
    onAnswer()
    this.#sink?.push(held, at)
    resolve()
  }

  #judge(failure: unknown): SluiceError | undefined {
    if (this.#done) return errorOf(this.#done)
    if (failure !== undefined && !this.#context.signal.aborted) return toSluiceError(failure)
    return new SluiceError('cancelled', 'The request is over.')
  }

  readonly #onAbort = (): void => this.#interrupt(this.#context.signal.reason)

  #interrupt(reason: unknown): void {
    this.#abort.abort(reason)
    this.#fail(reason)
  }

  /** Before the first token whoever opened it decides what comes next; after that its end is the stream's. */
  #fail(error: unknown): void {
    if (this.#finished) return
    const opening = this.#opening
    this.#finish(error)
    if (opening) opening.reject(error)
    else this.#sink?.end({ error })
  }
}

const ENDED = new Ended('The attempt has ended.')

/** What is known of an attempt until its first token. */
interface Opening {
  readonly held: StreamEvent[]
  /** Size of the held events. */
  characters: number
  readonly onAnswer: () => void
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

function isAnswer(held: readonly StreamEvent[]): boolean {
  return held.length >= MAX_HELD || held.some((event) => event.type === 'done' || isToken(event))
}

/** Adds the size of `events`; true once too much is held. */
function isTooMuch(opening: Opening, events: readonly StreamEvent[]): boolean {
  for (const event of events) opening.characters += sizeOf(event)
  return opening.characters > MAX_HELD_CHARACTERS
}

/** In characters of JSON. An event without a JSON form counts as infinitely large: the log refuses it. */
function sizeOf(event: StreamEvent): number {
  try {
    return JSON.stringify(event).length
  } catch {
    return Infinity
  }
}

function isToken(event: StreamEvent): boolean {
  if (event.type === 'done') return false
  const { content, reasoning, refusal, tool_calls } = event
  return Boolean(content) || Boolean(reasoning) || Boolean(refusal) || Boolean(tool_calls?.length)
}
