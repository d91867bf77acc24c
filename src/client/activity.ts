import type { ChatEvent } from './chat-event.ts'
import type { Disconnect } from './reconnect.ts'
import type { Request } from './requests.ts'

/** Something that happened on the wire, for those who want to draw it. `at` is `performance.now()`, in milliseconds. */
export type Activity = { at: number } & WireEvent

export type WireEvent =
  /** A request is about to be sent; `after` is the cursor. */
  | { type: 'request'; method: Request['method']; after: number }
  /** Headers have come. */
  | { type: 'response'; status: number }
  | { type: 'bytes'; bytes: number }
  | { type: 'heartbeat' }
  /** Milliseconds from the first request to the first delta. */
  | { type: 'first-token'; afterMs: number }
  /** `covers`: how many events of the stream went into the frame, more than one when it was merged; 0 if all were known. */
  | { type: 'frame'; event: ChatEvent; covers: number }
  /** A connection is over without the stream being so. */
  | { type: 'disconnect'; reason: Disconnect['type']; error: unknown }
  /** The next attempt, the first or a later one in a row, is due in `delayMs`, or at once if the device comes online. */
  | { type: 'reconnect'; attempt: number; delayMs: number }
  | { type: 'end'; as: 'finished' | 'cancelled' | 'failed' | 'aborted' }

export type ActivityListener = (activity: Activity) => void
