import type { Payload } from '../sse/response-body.ts'
import { Hold, type Budget } from '../store/budget.ts'

/** Smaller ones are not counted: the slow-reader limit ends their wait. */
const LARGE_BYTES = 256 * 1024

const waiting = new WeakMap<Payload, { hold: Hold; readers: number }>()

const NOTHING = () => {}

/**
 * Counts a large payload that waits in a full socket: once for all sockets, which share its bytes. Returns a function
 * that ends the wait of this socket; call it once. Undefined when there is no memory for it.
 */
export function holdWaiting(payload: Payload, budget: Budget, client: string): (() => void) | undefined {
  const { source } = payload
  const { byteLength } = source
  if (byteLength < LARGE_BYTES) return NOTHING
  let entry = waiting.get(source)
  if (!entry) {
    if (!budget.admits(client, byteLength)) return undefined
    waiting.set(source, (entry = { hold: new Hold(budget, 'readers', client, byteLength), readers: 0 }))
  }
  const { hold } = entry
  const shared = entry
  shared.readers += 1
  return () => {
    shared.readers -= 1
    if (shared.readers > 0) return
    waiting.delete(source)
    hold.release()
  }
}
