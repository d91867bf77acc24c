import type { Caller } from '../access/caller.ts'
import { LIMIT_LABELS, type LimitLabel } from '../access/limit-rules.ts'
import type { Metrics } from './metrics.ts'

/** Counts refused requests by caller and limit; from 0, for the callers that are known beforehand. */
export function observeLimits(
  metrics: Metrics,
  callers: readonly string[],
): (caller: Caller, limit: LimitLabel) => void {
  for (const caller of callers)
    for (const limit of LIMIT_LABELS) metrics.cell('limit_refusals_total', { caller, limit })
  return ({ principal }, limit) => metrics.cell('limit_refusals_total', { caller: principal.name, limit }).add()
}
