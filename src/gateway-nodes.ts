// The parts of a gateway that connect it with other nodes: over Redis, or, among the workers of one machine, over a backplane
// that is given.

import type { LastingConfig } from './config.ts'
import { ConfigError } from './errors.ts'
import type { Backplane, RecordLifetimes } from './store/backplane/backplane.ts'
import { parseRedisUrl } from './store/backplane/redis-url.ts'
import { tombstoneMs } from './store/memory-directory.ts'
import { connectNode, type Node } from './store/nodes/connect-nodes.ts'
import type { Logger } from './telemetry/logger.ts'
import type { Metrics } from './telemetry/metrics.ts'
import { observeNodes } from './telemetry/observe-nodes.ts'

export interface ConnectedNode extends Node {
  readonly backplane: Backplane
}

/** A running stream is forgotten after this time without a sign of its node, in milliseconds. */
const RUNNING_MS = 3_600_000

export function recordLifetimes({ retentionMs }: Pick<LastingConfig, 'retentionMs'>): RecordLifetimes {
  return { retentionMs, tombstoneMs: tombstoneMs(retentionMs), runningMs: Math.max(RUNNING_MS, 2 * retentionMs) }
}

/**
 * Undefined for a gateway that is alone.
 *
 * @throws ConfigError when Redis cannot be reached, unless the gateway may run without it
 */
export async function createNode(
  config: LastingConfig,
  given: Backplane | undefined,
  metrics: Metrics,
  logger: Logger,
): Promise<ConnectedNode | undefined> {
  const { leaseMs, storeDown } = config
  const lifetimes = recordLifetimes(config)
  const backplane = given ?? (await connectRedis(config, lifetimes, logger))
  const observer = observeNodes(metrics, logger, backplane)
  if (!backplane) return undefined
  const node = connectNode(backplane, { ...lifetimes, leaseMs, storeDown, observer })
  observer.watch(node.bus)
  return { ...node, backplane }
}

/** Loads ioredis only where Redis is configured. */
async function connectRedis(
  { redisUrl, redisPrefix: prefix, storeDown }: LastingConfig,
  lifetimes: RecordLifetimes,
  logger: Logger,
): Promise<Backplane | undefined> {
  if (redisUrl === '') return undefined
  const { RedisBackplane } = await import('./store/backplane/redis-backplane.ts')
  const address = parseRedisUrl(redisUrl)
  const backplane = new RedisBackplane(address, {
    ...lifetimes,
    prefix,
    onFault: (error) => logger.debug({ err: error.message }, 'Redis fault'),
  })
  try {
    await backplane.connect()
  } catch (cause) {
    if (storeDown === 'local') return backplane
    await backplane.close()
    const where = address.nodes.map(({ host, port }) => `${host}:${port}`).join(', ')
    throw new ConfigError([
      {
        path: 'REDIS_URL',
        message: `Redis cannot be reached at ${where} (${cause instanceof Error ? cause.message : String(cause)})`,
      },
    ])
  }
  return backplane
}
