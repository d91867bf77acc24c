import type { ChatRequest, Provider, StreamEvent } from '../../providers/provider.ts'

/** One run of a scripted provider: the test says what it yields, and when. */
export interface Run {
  request: ChatRequest
  signal: AbortSignal
  yield(...events: StreamEvent[]): void
  text(...contents: string[]): void
  done(): void
  /** Ends without `done`. */
  end(): void
  fail(error: unknown): void
  /** Resolves when the gateway has aborted this run. */
  aborted: Promise<void>
}

/** A provider that does what the test tells it to, in the same process. */
export class ScriptedProvider implements Provider {
  readonly name: string
  readonly models: string[]
  readonly runs: Run[] = []
  readonly #waiting: ((run: Run) => void)[] = []
  #taken = 0

  constructor(name = 'scripted') {
    this.name = name
    this.models = [name]
  }

  /** The run of the next stream that is created, or of the first that has been and was not taken. */
  async nextRun(): Promise<Run> {
    const taken = this.#taken
    this.#taken += 1
    return this.runs[taken] ?? new Promise((resolve) => this.#waiting.push(resolve))
  }

  async *stream(request: ChatRequest, { signal }: { signal: AbortSignal }): AsyncGenerator<StreamEvent[]> {
    const queue: (StreamEvent[] | { error: unknown } | 'end')[] = []
    let wake = () => {}
    const push = (item: (typeof queue)[number]) => {
      queue.push(item)
      wake()
    }
    const run: Run = {
      request,
      signal,
      yield: (...events) => push(events),
      text: (...contents) => push(contents.map((content) => ({ type: 'delta', content }))),
      done: () => push([{ type: 'done', finish_reason: 'stop' }]),
      end: () => push('end'),
      fail: (error) => push({ error }),
      aborted: new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
    }
    this.runs.push(run)
    this.#waiting.shift()?.(run)
    signal.addEventListener('abort', () => wake(), { once: true })
    while (true) {
      signal.throwIfAborted()
      const item = queue.shift()
      if (item === undefined) await new Promise<void>((resolve) => (wake = resolve))
      else if (item === 'end') return
      else if (Array.isArray(item)) yield item
      else throw item.error
    }
  }
}
