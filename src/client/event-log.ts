import type { Done } from '../stream/events.ts'
import type { ChatEvent } from './chat-event.ts'
import { deferred } from './waiting.ts'

/** How the stream ended for this reader. `aborted`: the caller left; the stream may continue. */
export type Ending = { as: 'finished' | 'cancelled'; done: Done } | { as: 'failed' | 'aborted'; error: unknown }

/**
 * The events that this reader has received: an append-only log, like the stream itself. Each consumer has a cursor on
 * it, so any number of consumers share a connection, and a late consumer misses nothing.
 */
export class EventLog {
  readonly #events: ChatEvent[] = []
  readonly #ended = deferred<Ending>()
  #changed = deferred<void>()
  #ending: Ending | undefined

  get ending(): Ending | undefined {
    return this.#ending
  }

  /** Resolves when the log has ended. */
  get ended(): Promise<Ending> {
    return this.#ended.promise
  }

  append(event: ChatEvent): void {
    this.#events.push(event)
    this.#wake()
  }

  /** Ends the log. Later calls are ignored. */
  end(ending: Ending): void {
    if (this.#ending) return
    this.#ending = ending
    this.#ended.resolve(ending)
    this.#wake()
  }

  /** All events from the first on. After the last event, throws the stream's failure; throws an abort at once. */
  async *read(): AsyncGenerator<ChatEvent, void, void> {
    for (let next = 0; ;) {
      const ending = this.#ending
      if (ending?.as === 'aborted') throw ending.error
      const event = this.#events[next]
      if (event) {
        next += 1
        yield event
      } else if (ending) {
        if ('error' in ending) throw ending.error
        return
      } else {
        await this.#changed.promise
      }
    }
  }

  /** All events, once the stream has ended well. Throws as `read` does. */
  async whole(): Promise<{ events: readonly ChatEvent[]; done: Done }> {
    const ending = await this.#ended.promise
    if ('error' in ending) throw ending.error
    return { events: this.#events, done: ending.done }
  }

  #wake(): void {
    this.#changed.resolve()
    this.#changed = deferred()
  }
}
