import type { FinishReason, Usage } from '../stream/events.ts'
import type { ChatEvent } from './chat-event.ts'
import { collectMessage, textOf, type Message } from './collect-message.ts'
import { quiet } from './deferred.ts'
import type { Subscription } from './subscription.ts'

/** A stream that has ended, as far as this reader has seen it. */
export interface FinalChat {
  message: Message
  /** Never `error`: that is thrown. */
  finish_reason: FinishReason
  usage: Usage | null
  model: string | null
  provider: string | null
}

/**
 * A stream, read once and shared: any number of loops, `text`, `textStream` and `final` live on one connection, and
 * each gets everything from where the stream was entered, whenever it starts.
 *
 * It ends in exactly one of three ways: finished, cancelled (both are an end of the loop, and a value of the promises)
 * or failed (a `SluiceClientError`). Beside these, an abort of the caller's signal is thrown as its reason.
 *
 * Reading does not wait for the consumers, and leaving a loop stops nothing: to leave, abort the signal; to stop the
 * stream for everybody, `cancel`.
 */
export class ChatStream implements AsyncIterable<ChatEvent> {
  readonly #subscription: Subscription

  constructor(subscription: Subscription) {
    this.#subscription = subscription
  }

  /** The stream's id, known with the first response. Rejects when the stream ends before that. */
  get id(): Promise<string> {
    return this.#subscription.id
  }

  /** Every event, `done` last. A stream that failed throws after its last event. */
  [Symbol.asyncIterator](): AsyncIterator<ChatEvent> {
    return this.#subscription.log.read()
  }

  /** The text of the first choice, when the stream has ended. */
  text(): Promise<string> {
    return quiet(this.#subscription.log.whole().then(({ events }) => events.map(textOf).join('')))
  }

  /** The text of the first choice as it comes; a new stream from the beginning each time. */
  get textStream(): ReadableStream<string> {
    const events = this.#subscription.log.read()
    return new ReadableStream({
      async pull(controller) {
        for (;;) {
          const { done, value } = await events.next()
          if (done) return controller.close()
          const text = textOf(value)
          if (text) return controller.enqueue(text)
        }
      },
    })
  }

  /** The first choice's message and what is known of the stream, when it has ended. */
  final(): Promise<FinalChat> {
    return quiet(this.#final())
  }

  /**
   * Stops the stream for everybody who reads it. Resolves when it has ended, which it may do as finished if it was
   * about to; rejects with a `SluiceClientError` when the gateway could not be told. Does nothing after the end.
   */
  cancel(): Promise<void> {
    return quiet(this.#subscription.cancel())
  }

  async #final(): Promise<FinalChat> {
    const { events, done } = await this.#subscription.log.whole()
    const { finish_reason, usage = null, model = null, provider = null } = done
    return { message: collectMessage(events), finish_reason, usage, model, provider }
  }
}
