import type { Position, Protocol } from '../protocols/protocol.ts'
import { sharedFrames } from '../protocols/shared-frames.ts'
import { EventStreamWriter } from '../sse/event-stream.ts'
import { joinWrites, Payload } from '../sse/response-body.ts'
import { dropReader, isOver } from '../sse/http2.ts'
import { Hold, storeFull } from '../store/budget.ts'
import type { StreamLog } from '../stream/stream-log.ts'
import { Subscription } from '../stream/readers.ts'
import { catchUp } from '../stream/event-loop.ts'
import { withoutMessage } from '../telemetry/redact.ts'
import type { RequestContext, Services } from './context.ts'
import { releaseHead } from './release-head.ts'
import { joins } from './middleware/observe-requests.ts'
import { holdWaiting } from './waiting-payloads.ts'

/** Estimate for a reader: request, response, subscription, socket. */
export const READER_BYTES = 16 * 1024

/** States the heartbeat to clients that reconnect by themselves, which tell a dead connection by its silence. */
export function setStreamHeaders(
  context: RequestContext,
  { heartbeatMs }: Services['config'],
  { info }: StreamLog,
  { reconnects, streamHeaders }: Protocol,
): void {
  if (reconnects) context.set('Sluice-Heartbeat', String(heartbeatMs))
  if (streamHeaders) context.set(streamHeaders(info))
}

/** Refuses a reader when there is no memory for it. @throws SluiceError `store_full` */
export function admitReader({ state }: RequestContext, { budget }: Services): void {
  if (!budget.admits(state.client, READER_BYTES)) throw storeFull()
}

/**
 * Sends a log from a cursor on, until `done` has been sent or the reader has gone. All readers use this path:
 * whenever the log has grown or the socket has drained, it sends the next batch. A reader that is more than one batch
 * behind continues in time slices shared by all such readers.
 *
 * Returns at once: a middleware chain that waited for the end would be a good part of the memory of an open stream.
 * `context.state.streaming` resolves at the end.
 */
export function sendStream(
  context: RequestContext,
  { config, budget, heartbeat, flushTimer, readers, logger }: Services,
  log: StreamLog,
  { seq: cursor, seen, received }: Position,
  protocol: Protocol,
): void {
  const subscription = new Subscription(log, cursor, sharedFrames(log, protocol).reader(seen, received), grown)
  context.respond = false
  context.status = 200
  setStreamHeaders(context, config, log, protocol)
  const held = new Hold(budget, 'readers', context.state.client, READER_BYTES)
  const cells = readers(protocol.name)
  /** Arrival of the oldest unsent event; undefined when there is none, or while the socket blocks. */
  let arrivedAt: number | undefined
  /** The next batch is scheduled in `catchUp`; growth of the log does not send it sooner. */
  let catchingUp = false
  /** Ends the count of what waits in the socket. */
  let drained: (() => void) | undefined

  const writer = new EventStreamWriter(context.res, {
    heartbeat,
    heartbeatMs: config.heartbeatMs,
    slowReaderMs: config.slowReaderMs,
    comment: protocol.heartbeat,
    ...(protocol.reconnects ? {} : { retry: false }),
    onHeartbeat: () => cells.heartbeats.add(),
  })
  releaseHead(context.res)
  cells.connections.add()

  /** The flush timer may delay deltas to coalesce them, but never the reader's first one or the end of the stream. */
  function grown(since: number): void {
    if (catchingUp) return
    if (!writer.blocked) arrivedAt ??= since
    if (flushTimer && subscription.cursor > cursor && !log.done) flushTimer.wait(pump)
    else pump()
  }

  /** Must not throw: it is called from the event loop, where an exception would end the process and all streams. */
  function pump(): void {
    try {
      send()
    } catch (error) {
      logger.error({ ...joins(context), err: withoutMessage(error) }, 'frames could not be made')
      subscription.close()
      writer.cut()
    }
  }

  function send(): void {
    catchingUp = false
    // A stalled reader would keep the displaced log in memory. The reader of a withdrawn one finds the end elsewhere.
    if (log.withdrawn || (log.displaced && writer.blocked)) return dropReader(context.res)
    const frames = writer.blocked || writer.closed ? undefined : subscription.next()
    if (frames) {
      if (subscription.ended) joinWrites(context.res)
      cells.deltas.add(frames.deltas)
      cells.dones.add(frames.dones)
      cells.bytes.add(frames.payload.byteLength)
      cells.merged.add(frames.merged)
      if (!writer.write(frames.payload) && !isOver(context.res)) {
        cells.waits.add()
        drained = holdWaiting(frames.payload, budget, context.state.client)
        if (!drained) return dropReader(context.res)
      }
      // Empty frames only advance an encoder to the cursor.
      if (arrivedAt !== undefined && frames.payload.byteLength > 0)
        cells.latency.observe((performance.now() - arrivedAt) / 1000)
    }
    if (subscription.cursor > log.last && log.done) {
      // The cursor is beyond the end, so this reader got no `done`: cut the connection, or it would seem a clean end.
      writer.cut()
    } else if (subscription.ended) writer.end()
    else if (subscription.cursor < log.last && !writer.blocked && !writer.closed) {
      goOn()
      return
    }
    arrivedAt = undefined
  }

  function letGo(): void {
    drained?.()
    drained = undefined
  }

  function goOn(): void {
    catchingUp = true
    catchUp.ask(pump)
  }

  context.state.streaming = new Promise((resolve) => {
    writer.onDrain = () => {
      letGo()
      goOn()
    }
    writer.onClose = (end) => {
      subscription.close()
      held.release()
      letGo()
      flushTimer?.leave(pump)
      catchUp.leave(pump)
      cells.connections.add(-1)
      if (end === 'stalled') cells.stalled.add()
      context.state.ended = end
      resolve()
    }
    const opening = cursor === 0 ? protocol.opening?.(log.info, seen) : undefined
    if (opening) writer.write(new Payload(opening))
    pump()
  })
}
