// The usage of one stream: as its upstream reports it, or else as an estimate.

import type { ChatInput } from '../chat-request.ts'
import type { Caller } from '../access/caller.ts'
import type { RoutingObserver } from '../routing/observer.ts'
import type { Done, Usage } from '../stream/events.ts'
import type { Account } from '../stream/generation.ts'
import type { StreamLog } from '../stream/stream-log.ts'
import type { PromptUsage } from '../wires/anthropic-usage.ts'
import { NO_USAGE, type Accounts, type Charge } from './accounts.ts'
import { countCompletion, guessCompletion, type CompletionCount } from './completion-size.ts'
import { PromptSample } from './prompt-sample.ts'

/** How long the end of a stream may wait for its tokens to be counted. */
export const COUNT_MS = 2000

export interface StreamAccountOptions {
  log: StreamLog
  input: ChatInput
  caller: Caller
  protocol: string
  /** The name of the model that the request used. */
  requested: string
  /** Told of the charge for this stream, once. */
  onCharge?: ((charge: Charge) => void) | undefined
}

/**
 * Every stream reports a usage:
 *
 * - the upstream's, when its answer is complete;
 * - nothing, when all attempts failed before a token;
 * - otherwise an estimate, marked `estimated`: for the prompt the upstream's figure where it gave one, for the
 *   completion the upstream's figure unless far more has arrived.
 */
export class StreamAccount implements Account {
  readonly #accounts: Accounts
  readonly #log: StreamLog
  readonly #caller: Caller
  readonly #protocol: string
  readonly #requested: string
  readonly #onCharge: ((charge: Charge) => void) | undefined
  readonly #startedAt = performance.now()
  /** The conversation until the run lets go of it, then a sample; dropped at the end. */
  #prompt: { input: ChatInput } | PromptSample | undefined
  /** An upstream has, or may have, worked for this request. */
  #asked = false

  constructor(accounts: Accounts, { log, input, caller, protocol, requested, onCharge }: StreamAccountOptions) {
    this.#accounts = accounts
    this.#log = log
    this.#prompt = { input }
    this.#caller = caller
    this.#protocol = protocol
    this.#requested = requested
    this.#onCharge = onCharge
  }

  /** Notices whether an upstream works. An attempt that fails before a token costs nothing. */
  watch(observer: RoutingObserver): RoutingObserver {
    return {
      started: (target) => {
        const attempt = observer.started(target)
        this.#asked = true
        return {
          ...(attempt.traceHeaders && { traceHeaders: attempt.traceHeaders }),
          answered: () => attempt.answered(),
          ended: (error, done) => {
            if (error && error.code !== 'cancelled') this.#asked = false
            attempt.ended(error, done)
          },
        }
      },
      retried: (target, reason) => observer.retried(target, reason),
    }
  }

  /** Keeps no more than a sample of the conversation. */
  letGo(): void {
    this.#takeSample()
  }

  settle(done: Done): Done | Promise<Done> {
    const usage = this.#known(done)
    return usage ? this.#finish(done, usage) : this.#count(done)
  }

  settleNow(done: Done): Done {
    const usage = this.#known(done) ?? this.#toUsage(done.usage, { completion: guessCompletion(this.#log) }, undefined)
    return this.#finish(done, usage)
  }

  settled({ usage = NO_USAGE, finish_reason }: Done): void {
    this.#prompt = undefined
    const { provider, model } = this.#log.answer ?? this.#log.info
    const charge = this.#accounts.add({
      kind: 'stream',
      caller: this.#caller,
      streamId: this.#log.info.id,
      protocol: this.#protocol,
      provider,
      model,
      requested: this.#requested,
      finish_reason,
      usage,
      duration_ms: Math.round(performance.now() - this.#startedAt),
    })
    this.#onCharge?.(charge)
  }

  /** The usage, when there is nothing to count. */
  #known({ usage, finish_reason }: Done): Usage | undefined {
    const complete = finish_reason !== 'error' && finish_reason !== 'cancelled'
    const silent = this.#log.last === 0
    if (usage && (complete || silent)) return usage
    return silent && !this.#asked ? NO_USAGE : undefined
  }

  async #count(done: Done): Promise<Done> {
    const { counter } = this.#accounts
    const deadline = performance.now() + COUNT_MS
    const sample = done.usage ? undefined : this.#takeSample()
    const [counted, prompt] = await Promise.all([
      countCompletion(this.#log, counter, deadline),
      sample && sample.text !== '' ? counter.count(sample.text, COUNT_MS) : undefined,
    ])
    return this.#finish(done, this.#toUsage(done.usage, counted, prompt))
  }

  /** @param given by the upstream, for an answer that it did not complete */
  #toUsage(given: Usage | undefined, { completion, prompt }: CompletionCount, promptCount: number | undefined): Usage {
    // A figure that came with the end of the answer is better than an estimate; one from its start counts next to nothing.
    if (given && given.completion_tokens >= completion / 2) return given
    const known: PromptUsage = given ?? prompt ?? { prompt_tokens: this.#takeSample()?.tokens(promptCount) ?? 0 }
    const total_tokens = known.prompt_tokens + completion
    return { ...known, completion_tokens: completion, total_tokens, estimated: true }
  }

  #finish(done: Done, usage: Usage): Done {
    const { provider, model } = this.#log.answer ?? this.#log.info
    const cost = this.#accounts.costOf(usage, { provider, model, requested: this.#requested })
    // Not a spread: see `Generation`.
    return Object.assign(done, { usage, cost })
  }

  #takeSample(): PromptSample | undefined {
    if (this.#prompt && 'input' in this.#prompt) this.#prompt = new PromptSample(this.#prompt.input)
    return this.#prompt
  }
}
