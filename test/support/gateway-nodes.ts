import { sharedRedis } from './redis.ts'
import { startSluice, type SluiceProcess } from './process.ts'

export type NodeProcess = SluiceProcess & { url: string }

export interface NodesOptions {
  /** By default, the one of this worker. */
  redisUrl?: string
  env?: Record<string, string>
}

/** As short as settings allow, so that tests of lost nodes are quick. */
export const LEASE_MS = 1000

/** Processes of the gateway that share a Redis, with keys of their own. */
export async function startNodes(count: number, { redisUrl, env = {} }: NodesOptions = {}): Promise<NodeProcess[]> {
  const url = redisUrl ?? (await sharedRedis()).url
  const prefix = `test:${Math.random()}:`
  const start = () => startNode(url, prefix, env)
  return Promise.all(Array.from({ length: count }, start))
}

export function startNode(redisUrl: string, prefix: string, env: Record<string, string> = {}): Promise<NodeProcess> {
  return startSluice({
    env: { REDIS_URL: redisUrl, REDIS_PREFIX: prefix, LEASE_MS: String(LEASE_MS), LOG_LEVEL: 'info', ...env },
  })
}
