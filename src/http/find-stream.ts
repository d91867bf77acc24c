import { SluiceError } from '../errors.ts'
import type { StreamLog } from '../stream/stream-log.ts'
import type { RequestContext } from './context.ts'
import type { Services } from './services.ts'

/**
 * The stream that the path names.
 * @throws SluiceError `stream_not_found`, with the same message for an unknown stream and for another owner's
 */
export async function findStream(context: RequestContext, { store }: Services): Promise<StreamLog> {
  const id = String(context.params.id)
  const found = await store.find(id, context.state.owner)
  switch (found.status) {
    case 'found':
      context.state.streamId = id
      return found.log
    case 'expired':
      throw new SluiceError('stream_expired', 'The stream has ended and is no longer kept.')
    case 'unknown':
      throw new SluiceError('stream_not_found', 'There is no such stream.')
  }
}
