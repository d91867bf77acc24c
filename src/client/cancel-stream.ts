import { readProblem } from './client-error.ts'
import type { EventLog } from './event-log.ts'
import { decide, type Disconnect, type ReconnectPolicy } from './reconnect.ts'
import { deleteRequest, type Send } from './requests.ts'
import { pause, watchSilence } from './waiting.ts'

export interface CancelOptions {
  send: Send
  policy: ReconnectPolicy
  /** Timeout for the gateway's response, in milliseconds. */
  silenceMs: () => number
}

/**
 * Repeats `DELETE` until the gateway confirms it or the log has ended. Resolves to whether there was still a stream to
 * cancel. If the caller has already left, it tries only once: no retries continue in the background.
 *
 * @throws SluiceClientError
 */
export async function cancelStream(
  id: string,
  log: EventLog,
  over: AbortSignal,
  { send, policy, silenceMs }: CancelOptions,
): Promise<boolean> {
  const state = { failures: 0, retryMs: 1000, created: true, cancelling: true }
  for (;;) {
    const failure = await attempt(send, id, silenceMs)
    const ended = log.ending?.as
    if (!failure || (ended && ended !== 'aborted')) return true
    state.failures += 1
    const next = decide(state, failure, ended ? { ...policy, maxAttempts: 0 } : policy)
    if ('end' in next) {
      if ('error' in next.end) throw next.end.error
      return false
    }
    await pause(next.resumeAfterMs, over)
  }
}

/** Undefined when the gateway has cancelled the stream. */
async function attempt(send: Send, id: string, silenceMs: () => number): Promise<Disconnect | undefined> {
  // Not `AbortSignal.timeout`: its timer cannot be cleared and keeps the process alive.
  const abort = new AbortController()
  const silence = watchSilence(silenceMs, () => abort.abort())
  try {
    const response = await send(deleteRequest(id), abort.signal)
    return response.ok ? undefined : { type: 'refused', error: await readProblem(response) }
  } catch (cause) {
    return { type: 'lost', cause }
  } finally {
    silence.stop()
  }
}
