import { isOver } from '../sse/http2.ts'
import { follow } from '../stream/subscription.ts'
import type { StreamLog } from '../stream/stream-log.ts'
import type { RequestContext } from './context.ts'

/**
 * Waits as any reader does, so that a caller who hangs up leaves a stream without readers: for the first event or for
 * the end, and not longer than `limitMs`. Returns early, without a word, when the caller has gone.
 */
export async function waitFor(
  context: RequestContext,
  log: StreamLog,
  what: 'first event' | 'end',
  limitMs?: number,
): Promise<void> {
  const enough = new AbortController()
  const stop = () => enough.abort()
  const onClose = () => {
    context.state.ended = 'disconnected'
    stop()
  }
  context.res.once('close', onClose)
  if (isOver(context.res)) onClose()
  const limit = limitMs === undefined ? undefined : setTimeout(stop, limitMs)
  try {
    const cursor = what === 'end' ? log.last : 0
    for await (const _ of follow(log, cursor, enough.signal)) if (what === 'first event') break
  } catch (error) {
    if (!enough.signal.aborted) throw error
  } finally {
    clearTimeout(limit)
    context.res.off('close', onClose)
  }
}
