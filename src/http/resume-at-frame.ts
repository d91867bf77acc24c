// How a reader resumes that counts frames instead of remembering the id of the last one.

import type { FrameCursor, Protocol } from '../protocols/protocol.ts'
import { readInSlices } from '../stream/event-loop.ts'
import type { StreamLog } from '../stream/stream-log.ts'
import type { RequestContext, Services } from './context.ts'
import { countInvalid, countResume, describeEvents } from './resume-stream.ts'
import { admitReader, sendStream } from './send-stream.ts'

/**
 * Sends the frames after the first ones. A reader that has more of them than this node waits for the rest.
 *
 * @throws SluiceError `invalid_cursor` or `store_full`
 */
export async function resumeAtFrame(
  context: RequestContext,
  services: Services,
  log: StreamLog,
  protocol: Protocol,
  cursor: FrameCursor,
): Promise<void> {
  const asked = countInvalid(services, () => cursor.read(context))
  let received = asked
  if (asked < 0) {
    const count = await countFrames(log, protocol)
    context.set(cursor.headers(count))
    received = Math.max(0, count + asked)
  }
  if (context.method === 'HEAD') return describeEvents(context, services, log, protocol)
  admitReader(context, services)
  if (received > 0) countResume(services, 'resumed')
  sendStream(context, services, log, { seq: 0, received }, protocol)
}

/** How many frames a log makes so far. */
async function countFrames(log: StreamLog, protocol: Protocol): Promise<number> {
  let encoder = protocol.encoder(log.info)
  let count = 0
  const merge = !protocol.countsFrames
  await readInSlices(
    log,
    log.last,
    (batch) => {
      const { frames, next } = encoder.encode(batch)
      count += frames
      encoder = next
    },
    { merge },
  )
  return count
}
