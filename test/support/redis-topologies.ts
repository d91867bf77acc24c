import { execFile } from 'node:child_process'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { vi } from 'vitest'
import { startRedis, type RedisServer } from './redis.ts'

/** Replicas get their copy at once, and not in a batch with others. */
const SOON = 'repl-diskless-sync-delay 0'

const WAIT = { timeout: 60_000, interval: 20 }

export interface RedisCluster {
  /** Names the masters. */
  url: string
  /** Three masters, and then their replicas. */
  nodes: RedisServer[]
  kill: (index: number) => Promise<void>
}

/** Three masters that share the slots, with so many replicas each; stopped with the test. Takes seconds. */
export async function startRedisCluster(program: string, { replicas = 0 } = {}): Promise<RedisCluster> {
  const settings = ['cluster-enabled yes', 'cluster-config-file nodes.conf', 'cluster-node-timeout 1000', SOON]
  const count = 3 * (1 + replicas)
  const nodes = await Promise.all(Array.from({ length: count }, () => startRedis(program, { settings })))
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`)
  const options = ['--cluster-replicas', String(replicas), '--cluster-yes']
  await promisify(execFile)(join(dirname(program), 'redis-cli'), ['--cluster', 'create', ...addresses, ...options])
  await vi.waitUntil(async () => (await Promise.all(nodes.map(isInCluster))).every(Boolean), WAIT)
  return {
    url: `redis+cluster://${addresses.slice(0, 3).join()}`,
    nodes,
    kill: (index) => nodes[index]!.kill(),
  }
}

async function isInCluster(node: RedisServer): Promise<boolean> {
  const info = String(await node.command('CLUSTER', 'INFO'))
  const [role, , , link] = (await node.command('ROLE')) as string[]
  return info.includes('cluster_state:ok') && (role === 'master' || link === 'connected')
}

export interface RedisSentinels {
  /** Names the sentinels and what they call the master. */
  url: string
  /** At first; after a failover the replica is the master. */
  master: RedisServer
  replica: RedisServer
  sentinels: RedisServer[]
  /** Kills the master. Resolves when every sentinel says that the replica is the master. Works once. */
  failOver: () => Promise<void>
}

/** A master and its replica, watched by three sentinels; stopped with the test. Takes seconds. */
export async function startSentinels(program: string, sentinelProgram: string): Promise<RedisSentinels> {
  const master = await startRedis(program, { settings: [SOON] })
  const replica = await startRedis(program, { settings: [`replicaof 127.0.0.1 ${master.port}`] })
  await vi.waitUntil(async () => ((await replica.command('ROLE')) as string[])[3] === 'connected', WAIT)
  const settings = [
    `sentinel monitor sluice 127.0.0.1 ${master.port} 2`,
    'sentinel down-after-milliseconds sluice 1000',
    'sentinel failover-timeout sluice 2000',
  ]
  const sentinels = await Promise.all([1, 2, 3].map(() => startRedis(sentinelProgram, { settings })))
  const all = async (agrees: (sentinel: RedisServer) => Promise<boolean>) =>
    vi.waitUntil(async () => (await Promise.all(sentinels.map(agrees))).every(Boolean), WAIT)

  await all(async (sentinel) => {
    const words = (await sentinel.command('SENTINEL', 'MASTER', 'sluice')) as string[]
    const valueOf = (name: string) => words[words.indexOf(name) + 1]
    return valueOf('num-slaves') === '1' && valueOf('num-other-sentinels') === '2'
  })
  return {
    url: `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join()}/sluice`,
    master,
    replica,
    sentinels,
    async failOver() {
      await master.kill()
      await all(async (sentinel) => {
        const [, port] = (await sentinel.command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'sluice')) as string[]
        return port === String(replica.port)
      })
    },
  }
}
