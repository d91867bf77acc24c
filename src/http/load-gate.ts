import type { LimitLabel } from '../access/limit-rules.ts'
import { SluiceError } from '../errors.ts'
import type { Config } from '../config.ts'

/** A stream ends, or a burst is over, soon. */
const RETRY_SECONDS = 1

export interface Load {
  /** How many streams run. */
  streams(): number
  /** Smoothed delay of the event loop, in milliseconds. */
  delayMs(): number
}

/** Decides whether the gateway can take on more work, so that the readers it has do not suffer. */
export class LoadGate {
  readonly #maxStreams: number
  readonly #maxDelayMs: number
  readonly #load: Load

  /** 0 stands for no limit. */
  constructor({ maxStreams, maxEventLoopDelayMs }: Pick<Config, 'maxStreams' | 'maxEventLoopDelayMs'>, load: Load) {
    this.#maxStreams = maxStreams || Infinity
    this.#maxDelayMs = maxEventLoopDelayMs || Infinity
    this.#load = load
  }

  /** Undefined when there is room. */
  refusal(): { limit: LimitLabel; error: SluiceError } | undefined {
    if (this.#load.delayMs() > this.#maxDelayMs) return refuse('overload', 'The gateway is overloaded')
    if (this.#load.streams() >= this.#maxStreams)
      return refuse('max_streams', 'The gateway runs as many streams as it may')
    return undefined
  }
}

function refuse(limit: LimitLabel, reason: string): { limit: LimitLabel; error: SluiceError } {
  return { limit, error: new SluiceError('overloaded', `${reason}; try again soon.`, { retryAfter: RETRY_SECONDS }) }
}
