import { formatCost } from '../cost.ts'
import type { Done } from '../stream/events.ts'
import type { RequestContext } from './context.ts'

export interface Answerer {
  provider: string
  model: string
  attempts: number
}

/** The target that answered, and the number of attempts. Known with the first token, or once all attempts failed. */
export function setTargetHeaders(context: RequestContext, { provider, model, attempts }: Answerer): void {
  // Encoded: a provider that accepts any model lets callers choose the name, and headers cannot hold every character.
  context.set('Sluice-Target', encodeURI(`${provider}/${model}`.toWellFormed()))
  context.set('Sluice-Attempts', String(attempts))
}

/** On answers that are sent whole: others say it in `done`, or not at all. */
export function setCostHeader(context: RequestContext, done: Done | undefined): void {
  if (done?.cost !== undefined) context.set('Sluice-Cost', formatCost(done.cost))
}
