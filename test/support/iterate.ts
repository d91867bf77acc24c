import type { Produced, Pushing } from '../../src/stream/source.ts'

/** Any provider's stream as an iterable. Leaving it stops the stream. */
export async function* iterate(source: AsyncIterable<Produced> | Pushing): AsyncGenerator<Produced, void, void> {
  if (!('pushTo' in source)) return yield* source
  const batches: Produced[] = []
  const state: { over: boolean; failure?: { error: unknown } | undefined } = { over: false }
  let wake = () => {}
  const stop = source.pushTo({
    push(events) {
      batches.push(events)
      wake()
    },
    end(failure) {
      Object.assign(state, { over: true, failure })
      wake()
    },
  })
  try {
    while (batches.length > 0 || !state.over) {
      const batch = batches.shift()
      if (batch) yield batch
      else await new Promise<void>((resolve) => (wake = resolve))
    }
    if (state.failure) throw state.failure.error
  } finally {
    stop()
  }
}
