import type { Handler } from '../context.ts'
import { findStream } from '../find-stream.ts'
import type { Services } from '../services.ts'

/** `DELETE /v1/streams/:id`: stops the generation for all readers. Idempotent. */
export function cancelStream(services: Services): Handler {
  return async (context) => {
    const log = await findStream(context, services)
    const here = services.generations.cancel(log.info.id)
    if (!here && !log.done) await services.store.cancelElsewhere(log)
    context.status = 204
  }
}
