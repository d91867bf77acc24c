// `sequence_number`: a number of an event says where in the log it was made, so that a reader can resume after any one.

import type { StreamLog } from '../../stream/stream-log.ts'
import type { Position } from '../protocol.ts'

/**
 * Each event of the log reserves this many numbers, which its frames take in order; the last frame takes the last one.
 * So a number does not depend on what was merged into a delta. With three digits, a stream of two million events still
 * has numbers of 32 bits, which some SDKs need. The numbers below the first event's are those of the opening.
 */
export const NUMBERS_PER_EVENT = 1000

/** Most frames of an event that is not the last of its log. */
export const MAX_FRAMES = NUMBERS_PER_EVENT

/** Minimum bytes of a log whose end has as many frames as one event has numbers. */
const BYTES_OF_FRAMES = 10_000

const LAST = NUMBERS_PER_EVENT - 1

/**
 * The numbers of the frames for the event of the log from `first` to `seq`; several when deltas were merged. What comes
 * before the last frame is due to the first delta.
 */
export function numberFrames(count: number, first: number, seq: number): number[] {
  const numbers: number[] = []
  for (let i = 0; i < count - 1; i++) numbers.push(nthNumber(first, i))
  // Only the end of a stream, after which no number is taken, may have more frames than its event has numbers.
  const beyond = Math.max(0, Math.ceil((count - 1) / LAST) - 1)
  if (count > 0) numbers.push((seq + beyond) * NUMBERS_PER_EVENT + LAST)
  return numbers
}

/** Skips the numbers that tell a last frame. */
function nthNumber(first: number, i: number): number {
  return (first + Math.floor(i / LAST)) * NUMBERS_PER_EVENT + (i % LAST)
}

/** Where a reader is that has seen the event with this number last. */
export function toPosition(seen: number, log: Pick<StreamLog, 'last' | 'done' | 'bytes'>): Position {
  const seq = Math.floor(seen / NUMBERS_PER_EVENT)
  const isLastFrame = seen % NUMBERS_PER_EVENT === LAST
  if (!log.done || seq < log.last) return isLastFrame ? { seq } : { seq: Math.max(0, seq - 1), seen }
  // A number that is too large for the end of this log is left for the caller to refuse: as many items take more bytes.
  if (seq > log.last + log.bytes / BYTES_OF_FRAMES) return { seq }
  return isLastFrame ? { seq: log.last } : { seq: log.last - 1, seen }
}
