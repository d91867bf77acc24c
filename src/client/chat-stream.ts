import type { FinishReason, Message, Usage } from '../stream/events.ts'
import { textOf, type ChatEvent } from './chat-event.ts'
import type { ResumingReader } from './resuming-reader.ts'
import { quiet } from './waiting.ts'

const loadMessage = () => import('./message.ts')

/** The result of a stream that has ended, as this reader received it. */
export interface FinalChat {
  message: Message
  /** Never `error`: that is thrown. */
  finish_reason: FinishReason
  usage: Usage | null
  model: string | null
  provider: string | null
}

/**
 * A stream that is read once and shared. Any number of loops, `text`, `textStream` and `final` use one connection. Each
 * receives all events from the reader's starting point, whenever it begins.
 *
 * It ends in one of three ways: finished, cancelled (both end loops and resolve promises) or failed (a
 * `SluiceClientError`). An abort of the caller's signal is thrown as its reason.
 *
 * Reading does not wait for consumers, and leaving a loop does not stop the stream. To leave, abort the signal; to stop
 * the stream for all readers, call `cancel`.
 */
export class ChatStream implements AsyncIterable<ChatEvent> {
  readonly #reader: ResumingReader

  constructor(reader: ResumingReader) {
    this.#reader = reader
  }

  /** For `attach`: the stream's id, known from the first response, or as given there. Rejects when the stream ends earlier. */
  get id(): Promise<string> {
    return this.#reader.id
  }

  /** All events, `done` last. A failed stream throws after its last event. */
  [Symbol.asyncIterator](): AsyncIterator<ChatEvent> {
    return this.#reader.log.read()
  }

  /** The text of the first choice, once the stream has ended. */
  text(): Promise<string> {
    return quiet(this.#reader.log.whole().then(({ events }) => events.map(textOf).join('')))
  }

  /** The text of the first choice as it arrives. Each access returns a new stream from the beginning. */
  get textStream(): ReadableStream<string> {
    const events = this.#reader.log.read()
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

  /** The first choice's message and the stream's metadata, once the stream has ended. */
  final(): Promise<FinalChat> {
    return quiet(this.#final())
  }

  /**
   * Stops the stream for all readers. Resolves when it has ended, possibly as finished if it was about to; rejects with
   * a `SluiceClientError` when the cancel request failed. Does nothing after the end.
   */
  cancel(): Promise<void> {
    return quiet(this.#reader.cancel())
  }

  async #final(): Promise<FinalChat> {
    // At once, while there may still be a network; an app that imports the module itself has it already.
    const collecting = quiet(loadMessage())
    const { events, done } = await this.#reader.log.whole()
    const { collectMessage } = await collecting.catch(loadMessage)
    const { finish_reason, usage = null, model = null, provider = null } = done
    return { message: collectMessage(events), finish_reason, usage, model, provider }
  }
}
