// The stream that a path names, and its end before its time.

import { SluiceError } from '../errors.ts'
import type { StreamName } from '../protocols/protocol.ts'
import type { StreamLog } from '../stream/stream-log.ts'
import type { RequestContext, Services } from './context.ts'

/**
 * @throws SluiceError `stream_not_found`, with the same message for an unknown stream and for another owner's;
 * `stream_expired`
 */
export async function findNamed(context: RequestContext, { store }: Services, name: StreamName): Promise<StreamLog> {
  const { caller, ticket } = context.state
  const { owner } = caller
  const isOpened = ticket !== undefined && 'id' in name && ticket.stream === name.id
  const found =
    'id' in name ? await store.find(name.id, isOpened ? undefined : owner) : await store.findByAlias(name.alias, owner)
  switch (found.status) {
    case 'found':
      context.state.streamId = found.log.info.id
      return found.log
    case 'expired':
      throw new SluiceError('stream_expired', 'The stream has ended and is no longer kept.')
    case 'unknown':
      throw noSuchStream()
  }
}

export function noSuchStream(): SluiceError {
  return new SluiceError('stream_not_found', 'There is no such stream.')
}

/** Stops the generation for all readers, wherever it runs. When it runs here, its `done` is in the log after this. */
export async function stopStream({ generations, store }: Services, log: StreamLog): Promise<void> {
  const ended = generations.cancel(log.info.id)
  if (ended) await ended
  else if (!log.done) await store.cancelElsewhere(log)
}
