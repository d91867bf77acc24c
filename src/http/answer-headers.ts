import type { StreamLog } from '../stream/stream-log.ts'
import type { RequestContext } from './context.ts'

/** The target that answered, and the number of attempts. Known with the first token, or once all attempts failed. */
export function setAnswerHeaders(context: RequestContext, { answer }: StreamLog): void {
  if (!answer) return
  // Encoded: a provider that accepts any model lets callers choose the name, and headers cannot hold every character.
  context.set('Sluice-Target', encodeURI(`${answer.provider}/${answer.model}`.toWellFormed()))
  context.set('Sluice-Attempts', String(answer.attempts))
}
