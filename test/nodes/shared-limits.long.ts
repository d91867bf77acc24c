import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { LEASE_MS, type NodeProcess } from '../support/gateway-nodes.ts'
import { makeFolder, startSluice } from '../support/process.ts'
import { describeWith } from '../support/programs.ts'
import { chat, open, type Reader } from '../support/reader.ts'
import { sharedRedis, startRedis } from '../support/redis.ts'

const SETTINGS = {
  prices: { 'mock/*': { input: 1000, output: 1000 } },
  keys: [
    { name: 'tokens', key: 'key-of-tokens', limits: { tokensPerDay: 1000 } },
    { name: 'cost', key: 'key-of-cost', limits: { costPerDay: 1 } },
    { name: 'slots', key: 'key-of-slots', limits: { concurrentStreams: 30 } },
    { name: 'ops', key: 'key-of-ops', scopes: ['chat', 'read', 'admin'] },
  ],
}

const as = (name: string) => ({ headers: { authorization: `Bearer key-of-${name}` } })

const QUICK = { mock: { text: 'a b c', interval_ms: 0 }, max_tokens: 15 }
const ENDLESS = { mock: { text: 'word '.repeat(20_000), interval_ms: 20 } }

/** YAML can be JSON. */
async function startLimited(count: number, redisUrl: string, env: Record<string, string> = {}): Promise<NodeProcess[]> {
  const folder = await makeFolder({ 'sluice.yaml': JSON.stringify(SETTINGS) })
  const prefix = `test:${Math.random()}:`
  const settings = { REDIS_URL: redisUrl, REDIS_PREFIX: prefix, LEASE_MS: String(LEASE_MS), LOG_LEVEL: 'info', ...env }
  const start = () => startSluice({ args: ['--config', join(folder, 'sluice.yaml')], env: settings })
  return Promise.all(Array.from({ length: count }, start))
}

/** So many callers at once, spread over the nodes. */
const callers = (count: number, nodes: readonly NodeProcess[], fields: object, name: string) =>
  Promise.all(Array.from({ length: count }, (_, i) => chat(nodes[i % nodes.length]!.url, { ...fields }, as(name))))

const admitted = (readers: readonly Reader[]) => readers.filter(({ status }) => status === 200)

const tokensOf = (readers: readonly Reader[]) =>
  readers.reduce((sum, { dones }) => sum + (dones[0]?.usage?.total_tokens ?? 0), 0)

async function usageAt({ url }: NodeProcess): Promise<unknown[]> {
  const { json } = await (await open(`${url}/v1/usage`, as('ops'))).end()
  return (json as { usage: unknown[] }).usage
}

/** The most streams that run at once, of callers that ask until nobody is let in. */
async function fillSlots(nodes: readonly NodeProcess[]): Promise<Reader[]> {
  const running = admitted(await callers(60, nodes, ENDLESS, 'slots'))
  for (const reader of running) await reader.until(({ text }) => text !== '')
  return running
}

describeWith('redis', 'limits of several nodes', (program) => {
  it('hold for 200 callers at once, and usage is the same at every node', async () => {
    const nodes = await startLimited(3, (await sharedRedis()).url)
    const all: Reader[] = []
    for (const name of ['tokens', 'cost']) {
      const own: Reader[] = []
      for (let rounds = 0; rounds < 20; rounds++) {
        const readers = await callers(200, nodes, QUICK, name)
        for (const reader of readers) await reader.end()
        own.push(...admitted(readers))
        expect(tokensOf(own)).toBeLessThanOrEqual(1000)
        if (admitted(readers).length === 0) break
      }
      // Of each stream, 20 tokens are reserved.
      expect(tokensOf(own)).toBeGreaterThan(1000 - 20)
      all.push(...own)
    }
    expect(await fillSlots(nodes)).toHaveLength(30)
    const usages = await Promise.all(nodes.map(usageAt))
    await vi.waitFor(async () => expect(await usageAt(nodes[0]!)).toEqual(await usageAt(nodes[1]!)))
    usages.splice(0, 3, ...(await Promise.all(nodes.map(usageAt))))
    expect(usages[1]).toEqual(usages[0])
    expect(usages[2]).toEqual(usages[0])
    const rows = usages[0] as { caller: string; streams: number; prompt_tokens: number; completion_tokens: number }[]
    const spent = rows.filter(({ caller }) => caller !== 'slots')
    expect(spent.reduce((sum, row) => sum + row.prompt_tokens + row.completion_tokens, 0)).toBe(tokensOf(all))
    expect(spent.reduce((sum, { streams }) => sum + streams, 0)).toBe(all.length)
  })

  it('are free again when the node that held them was killed', async () => {
    const [lost, other] = await startLimited(2, (await sharedRedis()).url)
    expect(await fillSlots([lost!])).toHaveLength(30)
    expect((await chat(other!.url, ENDLESS, as('slots'))).status).toBe(429)
    lost!.kill('SIGKILL')
    await vi.waitFor(async () => expect((await chat(other!.url, ENDLESS, as('slots'))).status).toBe(200), 20_000)
    expect(await fillSlots([other!])).toHaveLength(29)
  })

  it('are not taken for ever by requests that a hanging Redis has refused', async () => {
    const redis = await startRedis(program)
    const [node] = await startLimited(1, redis.url)
    // The script is known to Redis from now on.
    for (const reader of await fillSlots([node!])) {
      await open(`${node!.url}/v1/streams/${reader.id}`, { method: 'DELETE', ...as('slots') })
      await reader.end()
    }
    redis.pause()
    const refused = await callers(20, [node!], ENDLESS, 'slots')
    expect(new Set(refused.map(({ status }) => status))).toEqual(new Set([503]))
    redis.resume()
    await expect.poll(async () => (await open(`${node!.url}/readyz`)).status).toBe(200)
    expect(await fillSlots([node!])).toHaveLength(30)
  })

  it('count the streams that run when Redis comes back with an empty memory', async () => {
    const redis = await startRedis(program)
    const [node, other] = await startLimited(2, redis.url)
    const running = await fillSlots([node!])
    await redis.restart()
    for (const { url } of [node!, other!]) await expect.poll(async () => (await open(`${url}/readyz`)).status).toBe(200)
    expect((await chat(other!.url, ENDLESS, as('slots'))).status).toBe(429)
    for (const reader of running.slice(0, 5)) {
      await open(`${node!.url}/v1/streams/${reader.id}`, { method: 'DELETE', ...as('slots') })
      await reader.end()
    }
    expect(await fillSlots([other!])).toHaveLength(5)
  })
})
