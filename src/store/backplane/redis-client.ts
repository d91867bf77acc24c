import { Cluster, Redis, type RedisOptions } from 'ioredis'
import type { RedisAddress } from './redis-url.ts'

export type RedisClient = Redis | Cluster

/** After this many milliseconds without a reply, Redis counts as unreachable. */
const COMMAND_MS = 3000

/** Between attempts to reconnect, in milliseconds. */
const FIRST_RETRY_MS = 50
const LAST_RETRY_MS = 1000

/** How long a reading connection waits for messages before it asks again, in milliseconds. */
export const BLOCK_MS = 5000

const retryStrategy = (times: number) => Math.min(FIRST_RETRY_MS * 2 ** Math.min(times, 10), LAST_RETRY_MS)

/**
 * A client that fails at once while there is no connection, and never repeats a command by itself, except on a Cluster: its
 * callers know what a command means, and repeat what they still need. It connects when `connect` is called.
 *
 * @param reading the client waits for messages: one of its commands may take `BLOCK_MS`
 */
export function createRedisClient(address: RedisAddress, { reading = false } = {}): RedisClient {
  const { kind, nodes, tls, username, password, database, master } = address
  const shared = {
    // RESP3 would turn some replies into maps.
    protocol: 2,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls && { tls: {} }),
    lazyConnect: true,
    connectTimeout: COMMAND_MS,
    commandTimeout: reading ? BLOCK_MS + COMMAND_MS : COMMAND_MS,
    keepAlive: 10_000,
    // Otherwise commands in flight would be sent again after a reconnect.
    maxRetriesPerRequest: 0,
    connectionName: 'sluice',
  } as const satisfies RedisOptions
  if (kind === 'cluster')
    return new Cluster(
      nodes.map(({ host, port }) => ({ host, port })),
      {
        redisOptions: shared,
        clusterRetryStrategy: retryStrategy,
        enableOfflineQueue: false,
        lazyConnect: true,
        slotsRefreshTimeout: COMMAND_MS,
        // After a failover, the moved slots are learned from the redirections, and from this.
        slotsRefreshInterval: 5000,
        // Connections to shards are made on demand, and a command that comes too soon is tried again. So is one whose
        // connection broke: an append is fenced, and a number may be added twice.
        retryDelayOnFailover: 100,
      },
    )
  const options = { ...shared, db: database, retryStrategy, enableOfflineQueue: false } as const
  const [{ host, port }] = nodes
  return kind === 'server'
    ? new Redis({ ...options, host, port })
    : new Redis({
        ...options,
        sentinels: nodes.map((node) => ({ ...node })),
        name: master,
        sentinelRetryStrategy: retryStrategy,
        enableTLSForSentinelMode: tls,
      })
}
