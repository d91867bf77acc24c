import { bifrost } from './bifrost.ts'
import { gomodel } from './gomodel.ts'
import { litellm } from './litellm.ts'
import { nginx } from './nginx.ts'
import { nodePipe, rawSockets, reencode } from './node-relay.ts'
import { portkey } from './portkey.ts'
import type { Relay } from './relay.ts'
import { sluice } from './sluice.ts'

export interface RelayChoice {
  dist: string
  /** Another build of Sluice, to be compared with this one. */
  beside?: string | undefined
  /** All when absent. */
  ids?: readonly string[] | undefined
}

/** In the order of the tables. */
export function chooseRelays({ dist, beside, ids }: RelayChoice): Relay[] {
  const all = [
    nginx,
    rawSockets,
    nodePipe,
    reencode,
    gomodel,
    bifrost,
    portkey,
    litellm,
    sluice('native', { dist }),
    sluice('openai-chat', { dist }),
  ]
  if (beside !== undefined)
    all.push(...(['native', 'openai-chat'] as const).map((each) => sluice(each, { dist: beside, label: 'beside' })))
  return all.filter(({ id }) => ids?.includes(id.replace(/-beside$/, '')) ?? true)
}
