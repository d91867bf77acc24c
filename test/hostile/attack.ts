import type { Socket } from 'node:net'
import type { Target } from './target.ts'

/** `quick` in `npm test`, `full` in `npm run test:hostile`. */
export type Scale = 'quick' | 'full'

/** An attack by a caller or an upstream, and the memory that it may cost. */
export interface Attack {
  name: string
  /** Settings of the gateway. */
  env?: Record<string, string>
  /** Answers one request as the upstream of `openai` and `anthropic`. */
  upstream?: (socket: Socket, scale: Scale) => void
  run(target: Target, scale: Scale): Promise<void>
  /** It leaves the gateway full, or with knowledge of this upstream: no other attack follows on the same one. */
  spoils?: true
  /** Seconds that one turn of the event loop may take at most, where it is not 0.1. */
  longestTurn?: number
  /** Runs in the full suite only. */
  only?: 'full' | undefined
  /** Maximum growth over an idle gateway, in megabytes. */
  memory: number
}
