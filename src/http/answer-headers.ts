import type { StreamLog } from '../stream/stream-log.ts'
import type { RequestContext } from './context.ts'

/** Which target answered, and how many attempts it took; known once the first token is there, or all have failed. */
export function setAnswerHeaders(context: RequestContext, { answer }: StreamLog): void {
  if (!answer) return
  // A model's name is the caller's to choose where any is taken, and a header cannot hold every character.
  context.set('Sluice-Target', encodeURI(`${answer.provider}/${answer.model}`.toWellFormed()))
  context.set('Sluice-Attempts', String(answer.attempts))
}
