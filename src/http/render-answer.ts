import { Hold, storeFull, type Budget } from '../store/budget.ts'
import type { StreamLog } from '../stream/stream-log.ts'
import type { RequestContext } from './context.ts'

export interface RenderOptions {
  /** This request has paid for the generation: render the answer even when the memory is full. */
  paid: boolean
}

/**
 * Renders the whole answer of a log. Rendering takes several turns, so its memory is counted from the start, with the
 * log's size until its own is known.
 *
 * @throws SluiceError `store_full`, before anything is rendered
 */
export function renderAnswer(
  { state }: RequestContext,
  budget: Budget,
  log: StreamLog,
  render: (log: StreamLog) => Promise<unknown>,
  { paid }: RenderOptions,
): Promise<unknown> {
  if (!paid && !budget.admits(state.client, log.bytes)) throw storeFull()
  state.unread = new Hold(budget, 'responses', state.client, log.bytes)
  return render(log)
}
