import { describe, expect, it, vi } from 'vitest'
import { startNodes, type NodeProcess } from '../support/gateway-nodes.ts'
import { describeWith, findProgram } from '../support/programs.ts'
import { chat, open, resume, type Reader } from '../support/reader.ts'
import { startRedis } from '../support/redis.ts'
import { startRedisCluster, startSentinels } from '../support/redis-topologies.ts'
import { TLS } from '../support/tls.ts'

const wordsOf = (count: number) => Array.from({ length: count }, (_, i) => `w${i} `).join('')
const story = (count: number) => ({ mock: { text: wordsOf(count), interval_ms: 5 } })
const hasText = ({ text }: Reader) => text.length > 100
const readiness = async ({ url }: NodeProcess) => (await open(`${url}/readyz`)).status

async function expectWhole(readers: readonly Reader[], text: string): Promise<void> {
  for (const reader of readers) {
    await reader.end()
    expect([reader.dones, reader.text]).toMatchObject([[{ finish_reason: 'stop' }], text])
  }
}

function expectUnharmed(nodes: readonly NodeProcess[]): void {
  for (const { lines } of nodes) {
    const said = lines.entries.map(({ msg }) => String(msg))
    expect(said.filter((msg) => /unhandled|uncaught|lost node|another node|longer than its lease/.test(msg))).toEqual(
      [],
    )
  }
}

/** What nodes do for each other, whatever Redis is. Several streams, so that a Cluster has some in each shard. */
async function expectShared(redisUrl: string, env: Record<string, string> = {}): Promise<void> {
  const [owner, other] = await startNodes(2, { redisUrl, env })
  const keys = Array.from({ length: 8 }, (_, i) => ({ headers: { 'idempotency-key': `k${i}` } }))
  const locals = await Promise.all(keys.map((options) => chat(owner!.url, story(300), options)))
  const joined = await Promise.all(keys.map((options) => chat(other!.url, story(300), options)))
  expect(joined.map(({ id }) => id)).toEqual(locals.map(({ id }) => id))
  for (const each of joined) await each.until(hasText)
  const late = await Promise.all(locals.map(({ id }) => resume(other!.url, id, 10)))
  await expectWhole([...locals, ...joined], wordsOf(300))
  await expectWhole(late, wordsOf(300).slice(wordsOf(10).length - 1))
  const stopped = await (await chat(owner!.url, story(10_000))).until(hasText)
  const watching = await (await resume(other!.url, stopped.id)).until(hasText)
  expect((await open(`${other!.url}/v1/streams/${stopped.id}`, { method: 'DELETE' })).status).toBe(204)
  for (const each of [stopped, watching])
    expect((await each.end()).dones).toMatchObject([{ finish_reason: 'cancelled' }])
  expect(watching.text).toBe(stopped.text)
  expectUnharmed([owner!, other!])
  await expectLost(owner!, other!)
}

async function expectLost(owner: NodeProcess, other: NodeProcess): Promise<void> {
  const locals = await Promise.all(Array.from({ length: 8 }, () => chat(owner.url, story(10_000))))
  const followers = await Promise.all(locals.map(({ id }) => resume(other.url, id)))
  for (const each of followers) await each.until(hasText)
  owner.kill('SIGKILL')
  for (const [i, each] of followers.entries()) {
    await each.end()
    expect(each.dones).toMatchObject([{ error: { code: 'producer_lost', retryable: true } }])
    const [a, b] = [each.text, locals[i]!.text]
    expect(a.startsWith(b) || b.startsWith(a)).toBe(true)
  }
}

/** Streams on which Redis fails over; resolves when all nodes are ready again. */
async function expectSurvival(redisUrl: string, failOver: () => Promise<void>): Promise<void> {
  const [owner, other] = await startNodes(2, { redisUrl })
  const headers = { 'idempotency-key': 'k' }
  const text = wordsOf(3000)
  const locals = await Promise.all(Array.from({ length: 8 }, () => chat(owner!.url, story(3000))))
  locals.push(await chat(owner!.url, story(3000), { headers }))
  const followers = await Promise.all(locals.map(({ id }) => resume(other!.url, id)))
  for (const each of followers) await each.until(hasText)
  await failOver()
  const seen = locals.map((each) => each.text.length)
  const ready = [owner!, other!].map((node) => expect.poll(() => readiness(node)).toBe(200))
  for (const [i, each] of followers.entries()) await each.until((reader) => reader.text.length >= seen[i]!)
  await Promise.all(ready)
  const joined = await vi.waitFor(
    async () => {
      const reader = await chat(other!.url, story(3000), { headers })
      expect(reader.status).toBe(200)
      return reader
    },
    { timeout: 20_000 },
  )
  expect(joined.id).toBe(locals.at(-1)!.id)
  await expectWhole([...locals, ...followers, joined], text)
  for (const { id } of locals) await expectWhole([await resume(other!.url, id)], text)
  expectUnharmed([owner!, other!])
}

describeWith('redis', 'over a Redis Cluster of three shards', (program) => {
  it('streams are shared, and those of lost nodes end', async () => {
    await expectShared((await startRedisCluster(program)).url)
  })

  it('streams go on when a master dies and its replica takes over', async () => {
    const cluster = await startRedisCluster(program, { replicas: 1 })
    await expectSurvival(cluster.url, async () => {
      const [killed] = cluster.nodes
      await cluster.kill(0)
      await vi.waitUntil(
        async () => {
          const info = String(await cluster.nodes[1]!.command('CLUSTER', 'NODES'))
          const masters = info.split('\n').filter((line) => /\bmaster\b/.test(line) && !/fail/.test(line))
          return masters.length === 3 && !masters.some((line) => line.includes(`:${killed!.port}@`))
        },
        { timeout: 60_000, interval: 50 },
      )
    })
  })
})

describeWith('redisSentinel', 'over a master and a replica that Sentinels watch', (sentinel) => {
  const program = findProgram('redis')!

  it('streams are shared, and those of lost nodes end', async () => {
    await expectShared((await startSentinels(program, sentinel)).url)
  })

  it('streams go on when the master dies', async () => {
    const { url, failOver } = await startSentinels(program, sentinel)
    await expectSurvival(url, failOver)
  })
})

/** The least that a user needs: no key of others, no other command. */
const RULES = [
  '~sluice:*',
  'resetchannels',
  '-@all',
  '+info +select +client|setname',
  '+eval +evalsha +time',
  '+exists +del +get +set +mget +pexpire +pttl',
  '+hget +hmget +hgetall +hset +hdel +hincrby',
  '+xadd +xrange +xread',
].join(' ')

describe('over a Redis with TLS and a user with few rights', () => {
  describeWith('redis', 'that has a password', (program) => {
    it('streams are shared, and those of lost nodes end', async () => {
      const user = { name: 'gateway', password: 'p@ss/word', rules: RULES }
      const redis = await startRedis(program, { tls: true, user, password: 'admin' })
      const url = redis.url.replace('127.0.0.1', 'localhost')
      await expectShared(url, { NODE_EXTRA_CA_CERTS: TLS.tlsCert, REDIS_PREFIX: `sluice:${Math.random()}:` })
      const log = (await redis.command('ACL', 'LOG')) as unknown[]
      expect(log).toEqual([])
    })
  })
})
