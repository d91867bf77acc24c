import { setTimeout as sleep } from 'node:timers/promises'

/** Waits for a promise, at most this long. The timer keeps the process alive meanwhile. */
export async function within(milliseconds: number, settled: Promise<unknown>): Promise<void> {
  const limit = new AbortController()
  await Promise.race([settled, sleep(milliseconds, undefined, { signal: limit.signal })])
  limit.abort()
}
