import { isOver } from '../sse/http2.ts'
import { follow } from '../stream/readers.ts'
import type { StreamLog } from '../stream/stream-log.ts'
import type { RequestContext } from './context.ts'

/**
 * Waits for the first event or for the end, at most `limitMs`. Counts as a reader meanwhile, so that a caller that
 * hangs up leaves the stream without readers. Returns early, without an error, when the caller has gone.
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
