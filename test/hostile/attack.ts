import type { Socket } from 'node:net'
import type { Target } from './target.ts'

/** How much of it: a part in `npm test`, all in `npm run test:hostile`. */
export type Scale = 'quick' | 'full'

/** Something that a caller or an upstream does to a gateway, and what it may cost there. */
export interface Attack {
  name: string
  /** Settings of the gateway. */
  env?: Record<string, string>
  /** The upstream of the gateway's `openai` and `anthropic`: answers one request. */
  upstream?: (socket: Socket, scale: Scale) => void
  run(target: Target, scale: Scale): Promise<void>
  /** Left to the full suite. */
  only?: 'full' | undefined
  /** Megabytes by which the gateway may grow at most, beyond what an idle one takes. */
  memory: number
}
