/**
 * One `setImmediate` for all logs that grew in this turn of the event loop: whatever one turn brought, from however
 * many upstreams and in however many pieces, each reader gets in one write.
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
