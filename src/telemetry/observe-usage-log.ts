import type { UsageLogObserver } from '../usage/usage-log.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'

/** Counts lost lines, and logs when writing begins to fail, when lines begin to be lost, and when it works again. */
export function observeUsageLog(metrics: Metrics, logger: Logger): UsageLogObserver {
  const dropped = metrics.cell('usage_lines_dropped_total', {})
  let losing = false
  return {
    dropped(lines) {
      dropped.add(lines)
      if (!losing) logger.error('usage lines are lost')
      losing = true
    },
    changed(error) {
      losing = false
      if (error === undefined) logger.info('usage lines are written again')
      else logger.error({ err: error }, 'usage lines cannot be written')
    },
  }
}
