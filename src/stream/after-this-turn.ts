/**
 * Wakes of all logs that grew in this turn of the event loop, run by one `setImmediate`. So each reader gets all events
 * of a turn in one write, however many upstreams and network reads they came from.
 */
let pending: (() => void)[] = []

/** Calls `wake` once this turn of the event loop is over. It must not throw: the wakes of other logs come after it. */
export function afterThisTurn(wake: () => void): void {
  if (pending.length === 0) setImmediate(wakeAll)
  pending.push(wake)
}

function wakeAll(): void {
  const wakes = pending
  pending = []
  for (const wake of wakes) wake()
}

/** Throws in a turn of its own, as an uncaught exception, so that the caller can finish its work first. */
export function throwLater(error: unknown): void {
  setImmediate(() => {
    throw error
  })
}
