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
