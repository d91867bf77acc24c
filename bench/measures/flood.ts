import { setTimeout as sleep } from 'node:timers/promises'
import type { Subject } from '../peers/relay.ts'
import type { Rig, Sample } from '../rig.ts'
import type { Pace } from '../upstream.ts'

export interface Flood extends Pace {
  streams: number
  /** Before anything is measured, for compilers and pools. */
  warmMs: number
  measureMs: number
}

export interface FloodResult extends Sample {
  /** Sent but not received, when all streams were seen to end; undefined when the relay had fallen too far behind. */
  lost: number | undefined
}

/** The same streams through any relay: open, warm, measure, end, and count what arrived. */
export async function flood(rig: Rig, subject: Subject, where: string, options: Flood): Promise<FloodResult> {
  const { streams, warmMs, measureMs, ...pace } = options
  const { port, request } = subject
  await rig.open({ ...pace, gated: true }, { port, requests: [request], count: streams })
  await rig.upstream('release')
  await sleep(warmMs)
  const sample = await rig.steadySample(subject.process, measureMs, where)
  const { complete, sent, received } = await rig.finish()
  return {
    ...sample,
    lost: complete ? sent - received : undefined,
  }
}

/** A second at full speed: until much of it has passed, a relay runs code that is not compiled for good. */
export async function warm(rig: Rig, { port, request }: Subject): Promise<void> {
  await rig.open({ rate: 0, tokens: 1000 }, { port, requests: [request], count: 50, total: 1e9 })
  await sleep(1000)
  await rig.finish()
}
