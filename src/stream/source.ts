import { checkEvent } from './check-event.ts'
import type { StreamEvent } from './events.ts'

/** A value that a provider yields: one event, or all events of one network read. */
export type Produced = StreamEvent | readonly StreamEvent[]

/** Where events are pushed to. No method throws, and nothing is called after `end`, or after `done` was pushed. */
export interface Sink {
  /** At least one event, all that arrived together at time `at` (`performance.now()`). */
  push(events: readonly StreamEvent[], at: number): void
  /**
   * Bytes without an event arrived, such as a comment or a part of a large event: the upstream is active.
   *
   * @param held bytes since the last event, which may be held in memory
   */
  alive?(at: number, held: number): void
  /** The source ended or failed. Events pushed before stay. */
  end(failure?: { error: unknown }): void
}

/**
 * A source that pushes its events as they arrive. Pulling from an async iterable costs a promise and several microtasks
 * per `next`, a good part of the total cost of a token.
 */
export interface Pushing {
  /** Returns a function that stops the source; it may be called at any time, even after the end. */
  pushTo(sink: Sink): () => void
}

/**
 * Pipes a provider's events into a sink until the returned function is called. However the provider behaves, the sink
 * gets valid events up to `done` or one end, and nothing after that or after the stop.
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
      return fail(error) // The iterator resolved to something other than a result object.
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
      // The provider's clean-up failed; the stream is over, so this is ignored.
    }
  }

  read()
  return () => void stop()
}

/**
 * Enforces the contract of `Sink`: passes on events up to `done`, an end, `close`, or the first invalid event, which is
 * a failure.
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
