import type { Config } from '../config.ts'
import type { ProtocolTable } from '../protocols/protocol-table.ts'
import type { RoutingObserver } from '../routing/observer.ts'
import type { Router } from '../routing/router.ts'
import type { Heartbeat } from '../sse/heartbeat.ts'
import type { Budget } from '../store/budget.ts'
import type { StreamStore } from '../store/stream-store.ts'
import type { FlushTimer } from '../stream/event-loop.ts'
import type { Generations } from '../stream/generation.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { ReaderCells } from '../telemetry/observe-readers.ts'

/** Dependencies of the handlers; assembled in `gateway.ts`. */
export interface Services {
  readonly config: Config
  readonly protocols: ProtocolTable
  readonly router: Router
  readonly routing: RoutingObserver
  readonly store: StreamStore
  readonly budget: Budget
  readonly generations: Generations
  readonly heartbeat: Heartbeat
  /** Delays deltas so that they coalesce; undefined when they are sent at once. */
  readonly flushTimer: FlushTimer | undefined
  readonly metrics: Metrics
  /** The metric cells for a protocol's readers. */
  readonly readers: (protocol: string) => ReaderCells
  readonly logger: Logger
  /** The gateway is shutting down: it finishes running streams and starts no new ones. */
  draining: boolean
}
