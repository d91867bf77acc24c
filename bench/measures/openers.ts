import type { Relay } from '../peers/relay.ts'
import type { Sample } from '../rig.ts'
import { median, percent } from '../statistics.ts'

/** The relays that the targets are for. */
export const OUR_IDS = ['native', 'openai-chat']

/** Shares of the load's core: used by the upstream and the readers, and idle. The rest went to other processes. */
export function loadShares(samples: readonly Sample[]): string {
  const [use, idle] = [samples.map(({ loadUse }) => loadUse), samples.map(({ loadIdle }) => loadIdle)]
  return `${percent(median(use))} / ${percent(median(idle))}`
}

export const LOAD_SHARES = "load's core, used / idle"

/** Says so when the relay is given fewer streams than the others. */
export function scaledTitle({ title, scale = 1 }: Relay): string {
  return scale === 1 ? title : `${title}, ${percent(scale)} of the streams`
}
