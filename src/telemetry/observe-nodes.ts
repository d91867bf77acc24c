import type { Backplane } from '../store/backplane/backplane.ts'
import type { BusObserver, SharedBus } from '../store/nodes/shared-bus.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'
import { streamDigest } from './redact.ts'

export interface NodesObserver extends Required<BusObserver> {
  /** Counts the streams of a bus. */
  watch(bus: SharedBus): void
}

/**
 * Metrics and logs of a gateway that is one node among several.
 *
 * @param backplane undefined for a gateway that is alone, which has the same metrics
 */
export function observeNodes(metrics: Metrics, logger: Logger, backplane: Backplane | undefined): NodesObserver {
  const lost = {
    lease: metrics.cell('node_losses_total', { what: 'lease' }),
    overtaken: metrics.cell('node_losses_total', { what: 'stream' }),
    producer: metrics.cell('node_losses_total', { what: 'producer' }),
  }
  metrics.watch('store_up', {}, () => ((backplane?.isUp ?? true) ? 1 : 0))
  backplane?.onChange((isUp) => {
    if (isUp) logger.info('the store can be reached again')
    else logger.warn('the store cannot be reached')
  })
  let sizes: () => SharedBus['sizes'] = () => ({ published: 0, followed: 0 })
  metrics.watch('store_streams', { state: 'published' }, () => sizes().published)
  metrics.watch('store_streams', { state: 'followed' }, () => sizes().followed)
  return {
    leaseLost() {
      lost.lease.add()
      logger.error('this node was paused for longer than its lease: its streams are given up')
    },
    overtaken(id) {
      lost.overtaken.add()
      logger.warn({ stream: streamDigest(id) }, 'another node has ended a stream of this one')
    },
    endedLost(id) {
      lost.producer.add()
      logger.warn({ stream: streamDigest(id) }, 'ended the stream of a lost node')
    },
    watch(bus) {
      sizes = () => bus.sizes
    },
  }
}
