import type { Protocol } from '../protocols/protocol.ts'
import { Hold, type Budget } from '../stream/budget.ts'
import type { StreamLog } from '../stream/stream-log.ts'
import type { RequestContext } from './context.ts'

/**
 * The whole answer of a log. It is made bit by bit, beside other work, so it is counted from the start: as large as
 * the log, until its real size is known.
 */
export function renderAnswer(
  { state }: RequestContext,
  budget: Budget,
  log: StreamLog,
  protocol: Protocol,
): Promise<unknown> {
  state.unread = new Hold(budget, 'responses', state.client, log.bytes)
  return protocol.renderAnswer(log)
}
