import { checkEvent } from './check-event.ts'
import type { StreamEvent } from './events.ts'

/** What a provider yields: one event, or all those that one network read brought. */
export type Produced = StreamEvent | readonly StreamEvent[]

/** Where events are pushed to. No method throws, and nothing is called after `end`, or after `done` was pushed. */
export interface Sink {
  /** All that came together, one at least, and when, by `performance.now()`. */
  push(events: readonly StreamEvent[], at: number): void
  /**
   * Bytes without an event arrived, such as a comment or a part of a large event: the upstream is active.
   *
   * @param held bytes since the last event, which may be held in memory
   */
  alive?(at: number, held: number): void
  /** There is no more: it ended by itself, or failed. What was pushed before stays. */
  end(failure?: { error: unknown }): void
}

/**
 * A source that hands its events over as they come. Reading an iterable by `next` costs a promise and several
 * microtasks a time, which for a token is a good part of the whole.
 */
export interface Pushing {
  /** Returns how to stop: it may be called at any time, also after the end. */
  pushTo(sink: Sink): () => void
}

/**
 * Pipes what a provider produces into a sink, until the returned function is called. Whatever it is that the provider
 * produces: the sink gets events, `done` as the last of them, or one end, and nothing after that or after the stop.
 */
export function pipeToSink(source: AsyncIterable<Produced> | Pushing, into: Sink): () => void {
  const sink = new GuardedSink(into)
  const stop = 'pushTo' in source ? source.pushTo(sink) : iterate(source[Symbol.asyncIterator](), sink)
  return () => {
    sink.close()
    stop()
  }
}

function iterate(iterator: AsyncIterator<Produced>, sink: GuardedSink): () => void {
  let stopped = false

  function read(): void {
    try {
      iterator.next().then(take, fail)
    } catch (error) {
      fail(error)
    }
  }

  function take(result: IteratorResult<Produced>): void {
    if (stopped) return
    try {
      if (result.done) return sink.end()
      const { value } = result
      sink.push(isList(value) ? value : [value], performance.now())
    } catch (error) {
      return fail(error) // It is an iterator that resolves to nothing.
    }
    if (!stopped) read()
  }

  function fail(error: unknown): void {
    sink.end({ error })
  }

  async function stop(): Promise<void> {
    if (stopped) return
    stopped = true
    try {
      await iterator.return?.()
    } catch {
      // It has failed in what it does after its end, which changes nothing for anybody.
    }
  }

  read()
  return () => void stop()
}

/**
 * The one guard of `Sink`'s promise: it passes on events up to `done`, an end, the first thing that is no event, which is
 * a failure, or `close`.
 */
class GuardedSink implements Sink {
  readonly #sink: Sink
  #over = false

  constructor(sink: Sink) {
    this.#sink = sink
  }

  close(): void {
    this.#over = true
  }

  push(events: readonly StreamEvent[], at: number): void {
    if (this.#over) return
    let valid = 0
    let failure: { error: unknown } | undefined
    let done = false
    try {
      for (const event of events) {
        done = checkEvent(event).type === 'done'
        valid += 1
        if (done) break
      }
    } catch (error) {
      failure = { error }
    }
    if (valid > 0) {
      this.#over = done
      this.#sink.push(valid === events.length ? events : events.slice(0, valid), at)
    }
    if (failure) this.end(failure)
  }

  alive(at: number, held: number): void {
    if (!this.#over) this.#sink.alive?.(at, held)
  }

  end(failure?: { error: unknown }): void {
    if (this.#over) return
    this.#over = true
    this.#sink.end(failure)
  }
}

function isList(produced: Produced): produced is readonly StreamEvent[] {
  return Array.isArray(produced)
}
