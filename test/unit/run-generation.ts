import type { Delta, Done, StreamEvent } from '../../src/stream/events.ts'
import { Generation, type GenerationOptions } from '../../src/stream/generation.ts'
import { pipeToSink, type Produced } from '../../src/stream/source.ts'
import { StreamLog, type LogKeeper } from '../../src/stream/stream-log.ts'

/** A generation whose timers are too long to matter, unless the test sets them. */
export function newGeneration(
  produce: (signal: AbortSignal) => AsyncIterable<Produced>,
  { keeper, ...options }: Partial<GenerationOptions> & { keeper?: LogKeeper } = {},
): Generation {
  const log = new StreamLog({ id: 'str_1', owner: 'ada', model: 'm-1', provider: 'p', created: 0 }, keeper)
  return new Generation({
    log,
    produce: (signal, sink) => {
      // As an attempt gives to a provider.
      const controller = new AbortController()
      const stop = pipeToSink(produce(controller.signal), sink)
      signal.addEventListener('abort', () => {
        controller.abort(signal.reason)
        stop()
      })
    },
    resumeWindowMs: 1_000_000,
    ...options,
  })
}

/** Runs a provider to the end of its log, and returns what is in it. */
export async function runGeneration(...args: Parameters<typeof newGeneration>): Promise<StreamEvent[]> {
  const generation = newGeneration(...args)
  await generation.run()
  return eventsOf(generation.log)
}

/** What a log holds, adjacent deltas merged. */
export function eventsOf(log: StreamLog): StreamEvent[] {
  const events: StreamEvent[] = []
  for (let batch = log.read(0); batch; batch = log.read(batch.last))
    events.push(...batch.events.map(({ event }) => event))
  return events
}

export function text(content: string): Delta {
  return { type: 'delta', content }
}

export const STOP: Done = { type: 'done', finish_reason: 'stop' }

/** How a log of this model and provider ends when its provider says `STOP`. */
export const STOPPED: Done = { ...STOP, model: 'm-1', provider: 'p' }

export async function* produced(...items: Produced[]): AsyncGenerator<Produced> {
  yield* items
}

/** A provider that says nothing more, and does not listen either. */
export function silence(): Promise<never> {
  return new Promise(() => {})
}

/** Waits as a provider should: until its signal is aborted. */
export function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
}
