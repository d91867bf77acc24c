/** The result of one reading: JSON, or the reason why it failed. */
export type Outcome<T> = { value: T; error?: undefined } | { value?: undefined; error: string }

/** Bounds each reading, so that a stream that hangs is a difference and not a hanging test. */
const READ_TIMEOUT_MS = 20_000

/** Runs a reading with a signal that aborts it when it takes too long. */
export async function outcomeOf<T>(read: (signal: AbortSignal) => Promise<T>): Promise<Outcome<T>> {
  const signal = AbortSignal.timeout(READ_TIMEOUT_MS)
  try {
    const value = await read(signal)
    // As JSON, which is what an application keeps; it also copies what an SDK may still change.
    return { value: value === undefined ? value : JSON.parse(JSON.stringify(value)) }
  } catch (error) {
    if (signal.aborted) return { error: `timeout: no end after ${READ_TIMEOUT_MS} ms` }
    return { error: error instanceof Error ? `${error.name}: ${error.message}` : JSON.stringify(error) }
  }
}
