import type { Done } from '../stream/events.ts'
import type { ChatEvent } from './chat-event.ts'
import { deferred } from './deferred.ts'

/** How it ended for this reader. `aborted`: the caller left, which says nothing about the stream. */
export type Ending = { as: 'finished' | 'cancelled'; done: Done } | { as: 'failed' | 'aborted'; error: unknown }

/**
 * What this reader has received: like the stream itself an append-only log, and every consumer a cursor on it. That
 * is how any number of them share a connection, and how one that comes late misses nothing.
 */
export class EventLog {
  readonly #events: ChatEvent[] = []
  readonly #ended = deferred<Ending>()
  #changed = deferred<void>()
  #ending: Ending | undefined

  get ending(): Ending | undefined {
    return this.#ending
  }

  /** Resolves when there is an ending. */
  get ended(): Promise<Ending> {
    return this.#ended.promise
  }

  append(event: ChatEvent): void {
    this.#events.push(event)
    this.#wake()
  }

  /** The first to say how it ended is right. */
  end(ending: Ending): void {
    if (this.#ending) return
    this.#ending = ending
    this.#ended.resolve(ending)
    this.#wake()
  }

  /** Every event from the first on. Throws what the stream failed with, after its last event; an abort, at once. */
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
