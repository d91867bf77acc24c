import type { OpenOptions } from '../load.ts'
import type { Running } from '../peers/relay.ts'
import type { Rig } from '../rig.ts'
import type { Pace } from '../upstream.ts'

export interface StreamRun extends Pick<OpenOptions, 'fresh' | 'rate'> {
  pace: Pace
  /** Streams at a time. */
  parallel: number
  total: number
}

export interface StreamTimes {
  /** From the first request to the last end. */
  seconds: number
  /** Of each stream, in milliseconds, from the request on; with a new connection, from connecting on. */
  firstTokens: number[]
  durations: number[]
}

/** Runs `total` streams from opening to end. @throws Error when one fails or a token is lost */
export async function runStreams(
  rig: Rig,
  { port, request }: Pick<Running, 'port' | 'request'>,
  { pace, parallel, total, ...how }: StreamRun,
): Promise<StreamTimes> {
  await rig.open(pace, { port, requests: [request], count: parallel, atOnce: parallel, total, ...how })
  const inTime = await rig.load('untilEnded', 60_000)
  const times = {
    seconds: await rig.load('seconds'),
    firstTokens: await rig.load('firstTokens'),
    durations: await rig.load('durations'),
  }
  const { sent, received } = await rig.finish()
  if (!inTime) throw new Error(`of ${total} streams, ${times.durations.length} ended in a minute`)
  if (sent !== received) throw new Error(`${received} of ${sent} tokens arrived`)
  return times
}

/** Until hundreds of streams have been opened, a relay runs code that is not compiled for good. */
const WARM_UP = 2000
const warmed = new WeakSet<Running>()

/** Opens short streams through a relay, the first time that it is called for it. */
export async function warmOpening(rig: Rig, running: Running, scale = 1): Promise<void> {
  if (warmed.has(running)) return
  await runStreams(rig, running, { ...SHORT, parallel: 50 * scale, total: WARM_UP * scale })
  warmed.add(running)
}

/** Twenty tokens, as fast as the relay reads: as short as many answers are. */
export const SHORT = { pace: { rate: 0, burst: 20, tokens: 20 }, fresh: true }
