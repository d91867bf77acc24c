import type { ChatEvent } from './chat-event.ts'
import type { Disconnect } from './reconnect.ts'
import type { Request } from './requests.ts'

/** A network event, for visualisation. `at` is `performance.now()`, in milliseconds. */
export type Activity = { at: number } & WireEvent

export type WireEvent =
  /** A request is about to be sent; `after` is the cursor. */
  | { type: 'request'; method: Request['method']; after: number }
  /** The response headers arrived. */
  | { type: 'response'; status: number }
  | { type: 'bytes'; bytes: number }
  | { type: 'heartbeat' }
  /** Milliseconds from the first request to the first delta. */
  | { type: 'first-token'; afterMs: number }
  /** `covers`: how many new events the frame contains: more than one when merged, 0 when all were known. */
  | { type: 'frame'; event: ChatEvent; covers: number }
  /** A connection ended before the stream did. */
  | { type: 'disconnect'; reason: Disconnect['type']; error: unknown }
  /** The next attempt, number `attempt` in a row, starts in `delayMs`, or at once if the device comes online. */
  | { type: 'reconnect'; attempt: number; delayMs: number }
  | { type: 'end'; as: 'finished' | 'cancelled' | 'failed' | 'aborted' }

export type ActivityListener = (activity: Activity) => void

export type Report = (event: WireEvent) => void

/** Creates the function that tells a listener of a stream's events, also of its first token. */
export function reportTo(listener: ActivityListener | undefined): Report {
  const startedAt = performance.now()
  let gotToken = false
  return function report(event) {
    try {
      listener?.({ at: performance.now(), ...event })
    } catch (error) {
      // A faulty listener must not break the stream.
      console.error(error)
    }
    if (gotToken || event.type !== 'frame' || event.event.type !== 'delta') return
    gotToken = true
    report({ type: 'first-token', afterMs: performance.now() - startedAt })
  }
}
