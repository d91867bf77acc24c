import type { AttemptContext } from '../../providers/provider.ts'
import { Ended, SluiceError, toSluiceError } from '../errors.ts'
import { AttemptTimeouts } from './attempt-timeouts.ts'
import type { Permit } from './breaker.ts'
import { isTargetsFault } from './next-step.ts'
import type { AttemptObserver, RoutingObserver } from './observer.ts'
import type { Plan, Target } from './target.ts'
import { Tries } from './tries.ts'
import { untilAborted } from './until-aborted.ts'

export interface CallContext {
  /** Aborts the whole request. The provider gets a separate signal for each call. */
  signal: AbortSignal
  /** Headers of the client's request, for providers of the same protocol. */
  headers?: Readonly<Record<string, string>> | undefined
  observer?: RoutingObserver | undefined
}

/**
 * One try of one target that yields no stream of events: the call of a method of its provider, and the bytes that come
 * after it. However the provider behaves, it ends: by its timeouts, by the request's signal, or by `end`.
 */
export class ProviderCall {
  readonly #permit: Permit
  readonly #timeouts: AttemptTimeouts
  readonly #observer: AttemptObserver | undefined
  readonly #abort = new AbortController()
  readonly #signal: AbortSignal
  readonly #context: AttemptContext
  #ended = false

  constructor(target: Target, permit: Permit, apiKey: string | undefined, context: CallContext) {
    const { signal, headers, observer } = context
    this.#permit = permit
    this.#signal = signal
    this.#timeouts = new AttemptTimeouts(target.timeouts, (error) => this.#abort.abort(error))
    this.#observer = observer?.started(target)
    this.#context = {
      signal: this.#abort.signal,
      options: target.options,
      apiKey,
      headers,
      traceHeaders: this.#observer?.traceHeaders,
      connectTimeoutMs: target.timeouts.connectTimeoutMs,
    }
    signal.addEventListener('abort', this.#onAbort)
    if (signal.aborted) this.#onAbort()
  }

  /** Calls the provider. @throws the provider's error, the timeout, or the signal's reason */
  async call<T>(method: (context: AttemptContext) => Promise<T>): Promise<T> {
    const answer = await untilAborted(method(this.#context), this.#abort.signal)
    this.#timeouts.answered()
    this.#permit.answered()
    this.#observer?.answered()
    return answer
  }

  /** A part of the request was sent. */
  asked(): void {
    this.#timeouts.asked(performance.now())
  }

  /** The next bytes of an answer. While the caller does not ask for them, only the limit of the whole time applies. */
  async next(bytes: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
    this.#timeouts.heard(performance.now())
    this.#timeouts.answered()
    try {
      return await untilAborted(bytes.next(), this.#abort.signal)
    } finally {
      this.#timeouts.stop()
    }
  }

  /** Every end goes through here; the first call wins. @returns the error, as it is reported */
  end(failure?: { error: unknown }): SluiceError | undefined {
    const error = failure && this.#judge(failure.error)
    if (this.#ended) return error
    this.#ended = true
    this.#timeouts.stop()
    this.#signal.removeEventListener('abort', this.#onAbort)
    this.#abort.abort(ENDED)
    this.#observer?.ended(error, undefined)
    if (!error) this.#permit.succeeded()
    else if (isTargetsFault(error)) this.#permit.failed()
    else this.#permit.released()
    return error
  }

  readonly #onAbort = (): void => this.#abort.abort(this.#signal.reason)

  #judge(error: unknown): SluiceError {
    return this.#signal.aborted ? new SluiceError('cancelled', 'The request is over.') : toSluiceError(error)
  }
}

/**
 * Calls the provider of the first target that answers, with retries. `attempt` ends its call, or hands it on with its
 * result.
 *
 * @param isSpent whether the request cannot be sent again
 * @throws SluiceError when no target answers
 * @throws the signal's reason
 */
export async function callProviders<T>(
  plan: Plan,
  context: CallContext,
  attempt: (target: Target, call: ProviderCall) => Promise<T>,
  isSpent = () => false,
): Promise<{ target: Target; attempts: number; result: T }> {
  const tries = new Tries(plan, context)
  let answer: { target: Target; result: T } | undefined
  const failed = await tries.run(async (target, permit, apiKey) => {
    const call = new ProviderCall(target, permit, apiKey, context)
    try {
      answer = { target, result: await attempt(target, call) }
      return undefined
    } catch (error) {
      call.end({ error })
      return { error, final: isSpent() }
    }
  })
  if (!answer) throw toSluiceError(failed?.error)
  return { ...answer, attempts: tries.attempts }
}

/** Shared by all calls: capturing a stack trace for each is expensive, and nobody reads it. */
const ENDED = new Ended('The attempt has ended.')
