import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it, vi } from 'vitest'
import { readExposition } from '../support/exposition.ts'
import { startNode, startNodes, type NodeProcess } from '../support/gateway-nodes.ts'
import { spawnSluice } from '../support/process.ts'
import { describeWith } from '../support/programs.ts'
import { quietPort } from '../support/quiet-port.ts'
import { chat, open, resume, type Reader } from '../support/reader.ts'
import { startRedisProxy } from '../support/redis-proxy.ts'
import { startRedis } from '../support/redis.ts'

/** Numbered words, so that a lost or repeated one is seen. */
const wordsOf = (count: number) => Array.from({ length: count }, (_, i) => `w${i} `).join('')

const story = (count: number, fields = {}) => ({ mock: { text: wordsOf(count), interval_ms: 5, ...fields } })

const SHORT = { mock: { text: 'a b c', interval_ms: 0 } }

const hasText = ({ text }: Reader) => text.length > 100

const grows = (reader: Reader) => {
  const { length } = reader.text
  return reader.until(({ text }) => text.length > length + 100)
}

const readiness = async ({ url }: NodeProcess) => (await open(`${url}/readyz`)).status

const metricOf = async ({ url }: NodeProcess, name: string) => {
  const { body } = await (await open(`${url}/metrics`)).end()
  return readExposition(body)
    .get(name)!
    .samples.reduce((sum, { value }) => sum + value, 0)
}

/** What a client does that is told to try again. */
const patiently = (ask: () => Promise<Reader>) =>
  vi.waitFor(
    async () => {
      const reader = await ask()
      expect(reader.status).not.toBe(503)
      return reader
    },
    { timeout: 20_000, interval: 50 },
  )

/** A stream that is about to be registered. */
const whenKnown = (url: string, id: string) =>
  vi.waitFor(
    async () => {
      const reader = await resume(url, id)
      expect(reader.status).toBe(200)
      return reader
    },
    { timeout: 20_000, interval: 50 },
  )

async function expectWhole(readers: readonly Reader[], text: string): Promise<void> {
  for (const reader of readers) {
    await reader.end()
    expect([reader.status, reader.dones, reader.text]).toMatchObject([200, [{ finish_reason: 'stop' }], text])
  }
}

/** Whatever the fault was. */
async function expectUnharmed(nodes: readonly NodeProcess[]): Promise<void> {
  for (const { url, lines } of nodes) {
    expect((await open(`${url}/healthz`)).status).toBe(200)
    const said = lines.entries.map(({ msg }) => String(msg))
    expect(said.filter((msg) => /unhandled|uncaught|lost node|another node|longer than its lease/.test(msg))).toEqual(
      [],
    )
  }
}

describeWith('redis', 'when Redis', (program) => {
  it('comes back with an empty memory, running streams are known again, to all nodes', async () => {
    const redis = await startRedis(program)
    const prefix = 'test:'
    const [owner, other, lost] = await Promise.all([1, 2, 3].map(() => startNode(redis.url, prefix)))
    const headers = { 'idempotency-key': 'k' }
    const text = wordsOf(1500)
    const local = await (await chat(owner!.url, story(1500), { headers })).until(hasText)
    const follower = await (await resume(other!.url, local.id)).until(hasText)
    const finished = await (await chat(owner!.url, SHORT)).end()
    const gone = await (await chat(lost!.url, SHORT)).end()
    await redis.kill()
    lost!.kill('SIGKILL')
    for (const node of [owner!, other!]) await expect.poll(() => readiness(node)).toBe(503)
    await grows(local)
    expect((await resume(owner!.url, finished.id)).status).toBe(200)
    expect((await resume(other!.url, gone.id)).status).toBe(503)
    const seen = follower.text.length
    await redis.restart()
    await follower.until((reader) => reader.text.length > seen)
    for (const node of [owner!, other!]) await expect.poll(() => readiness(node)).toBe(200)
    const fresh = await startNode(redis.url, prefix)
    const joined = await patiently(() => chat(fresh.url, story(1500), { headers }))
    expect(joined.id).toBe(local.id)
    const resumed = await patiently(() => resume(other!.url, local.id))
    await expectWhole([local, follower, joined, resumed], text)
    await expectWhole([await resume(owner!.url, finished.id)], 'a b c')
    expect([404, 410]).toContain((await patiently(() => resume(other!.url, gone.id))).status)
    await expectUnharmed([owner!, other!, fresh])
  })

  it('hangs for longer than leases last, nobody is declared lost', async () => {
    const redis = await startRedis(program)
    const [owner, other] = await startNodes(2, { redisUrl: redis.url })
    const [slow] = await startNodes(1, { redisUrl: redis.url, env: { LEASE_MS: '2000' } })
    const create = ({ url }: NodeProcess) => chat(url, story(2600))
    const locals = [await create(owner!), await create(owner!)]
    const followers = await Promise.all(locals.map(({ id }) => resume(other!.url, id)))
    const slowLocal = await create(slow!)
    for (const each of [...locals, ...followers, slowLocal]) await each.until(hasText)
    redis.pause()
    const resumeAt = performance.now() + 10_000
    for (const node of [owner!, other!]) await expect.poll(() => readiness(node)).toBe(503)
    for (const each of [...locals, slowLocal]) await grows(each)
    await sleep(resumeAt - performance.now())
    const seen = locals[0]!.text.length
    redis.resume()
    await followers[0]!.until((reader) => reader.text.length >= seen)
    await expectWhole([...locals, ...followers, slowLocal], wordsOf(2600))
    for (const node of [owner!, other!]) await expect.poll(() => readiness(node)).toBe(200)
    await expectUnharmed([owner!, other!, slow!])
  })

  it.each(['refuse', 'local'])('is full, running streams go on; new ones: %s', async (policy) => {
    const redis = await startRedis(program)
    const [owner, other] = await startNodes(2, { redisUrl: redis.url, env: { STORE_DOWN: policy } })
    const local = await (await chat(owner!.url, story(600))).until(hasText)
    const follower = await (await resume(other!.url, local.id)).until(hasText)
    await redis.refuseWrites()
    const created = await chat(owner!.url, story(600))
    if (policy === 'refuse') {
      expect((await created.end()).json).toMatchObject({ code: 'store_unavailable', retryable: true })
      expect([created.status, Number(created.headers['retry-after'])]).toEqual([503, 5])
    } else expect(created.status).toBe(200)
    await expect.poll(() => readiness(owner!)).toBe(policy === 'refuse' ? 503 : 200)
    await grows(local)
    if (policy === 'local') await grows(created)
    await redis.acceptWrites()
    await grows(follower)
    if (policy === 'local') {
      await expectWhole([created, await whenKnown(other!.url, created.id)], wordsOf(600))
    }
    await expectWhole([local, follower], wordsOf(600))
    for (const node of [owner!, other!]) await expect.poll(() => readiness(node)).toBe(200)
    expect((await chat(owner!.url, SHORT)).status).toBe(200)
    await expectUnharmed([owner!, other!])
  })

  it('takes 200 ms for each command, everything works', async () => {
    const redis = await startRedis(program)
    const proxy = await startRedisProxy(redis.url)
    const [owner, other] = await startNodes(2, { redisUrl: proxy.url })
    proxy.delay(200)
    const headers = { 'idempotency-key': 'k' }
    const locals = await Promise.all([1, 2, 3].map(() => chat(owner!.url, story(400))))
    const keyed = await chat(owner!.url, story(400), { headers })
    const followers = await Promise.all(locals.map(({ id }) => resume(other!.url, id)))
    const joined = await chat(other!.url, story(400), { headers })
    expect(joined.id).toBe(keyed.id)
    const stopped = await (await chat(owner!.url, story(5000))).until(hasText)
    const watching = await (await resume(other!.url, stopped.id)).until(hasText)
    expect((await open(`${other!.url}/v1/streams/${stopped.id}`, { method: 'DELETE' })).status).toBe(204)
    for (const each of [stopped, watching])
      expect((await each.end()).dones).toMatchObject([{ finish_reason: 'cancelled' }])
    expect(watching.text).toBe(stopped.text)
    await expectWhole([...locals, ...followers, keyed, joined], wordsOf(400))
    expect(await readiness(owner!)).toBe(200)
    await expectUnharmed([owner!, other!])
  })

  it('loses its connections every few hundred milliseconds, no token is lost or repeated', async () => {
    const redis = await startRedis(program)
    const proxy = await startRedisProxy(redis.url)
    const [owner, other] = await startNodes(2, { redisUrl: proxy.url })
    const locals = await Promise.all([1, 2, 3, 4].map(() => chat(owner!.url, story(800))))
    const followers = await Promise.all(locals.map(({ id }) => resume(other!.url, id)))
    const cutting = setInterval(() => proxy.cut(), 300)
    try {
      await expectWhole(locals, wordsOf(800))
      await grows(followers[0]!).catch(() => {})
    } finally {
      clearInterval(cutting)
    }
    await expectWhole(followers, wordsOf(800))
    for (const node of [owner!, other!]) await expect.poll(() => readiness(node)).toBe(200)
    await expectUnharmed([owner!, other!])
  })

  it('cannot be reached for longer than leases last, the first node that is back declares nobody lost', async () => {
    const redis = await startRedis(program)
    const proxies = [await startRedisProxy(redis.url), await startRedisProxy(redis.url)]
    const [owner, other] = await Promise.all(proxies.map(({ url }) => startNode(url, 'test:')))
    const local = await (await chat(owner!.url, story(1600))).until(hasText)
    const follower = await (await resume(other!.url, local.id)).until(hasText)
    for (const proxy of proxies) {
      proxy.refuse()
      proxy.cut()
    }
    // The pauses between the attempts to connect are the longest by then.
    await sleep(4500)
    for (const proxy of proxies) await proxy.accept()
    await expectWhole([local, follower], wordsOf(1600))
    await expectUnharmed([owner!, other!])
  })

  it('is not there yet, a gateway that may work without it starts, and connects later', async () => {
    const port = quietPort()
    const node = await startNode(`redis://127.0.0.1:${port}`, 'test:', { STORE_DOWN: 'local' })
    const ready = await (await open(`${node.url}/readyz`)).end()
    expect([ready.status, ready.json]).toEqual([200, { status: 'ready', store: 'down' }])
    const created = await (await chat(node.url, SHORT)).end()
    const redis = await startRedis(program, { port })
    await vi.waitFor(async () => {
      expect((await (await open(`${node.url}/readyz`)).end()).json).toEqual({ status: 'ready' })
    })
    // Nothing new happens there, and yet all nodes get to know what has.
    const other = await startNode(redis.url, 'test:')
    await expectWhole([await whenKnown(other.url, created.id)], 'a b c')
    await expectUnharmed([node, other])
  })

  it('is not there yet, a gateway that needs it says so without the password', async () => {
    const redisUrl = `redis://user:the-password@127.0.0.1:${quietPort()}`
    const sluice = await spawnSluice({ env: { REDIS_URL: redisUrl } })
    expect(await sluice.exited).toBe(1)
    const { stderr, stdout } = sluice.output()
    expect(stderr).toMatch(/REDIS_URL.*127\.0\.0\.1/)
    expect(stderr + stdout).not.toContain('the-password')
  })

  it('is away, streams that no memory is left for are dropped, and nobody waits for them afterwards', async () => {
    const redis = await startRedis(program)
    const env = { STORE_DOWN: 'local', STORE_MAX_BYTES: '4mb' }
    const [owner, other] = await startNodes(2, { redisUrl: redis.url, env })
    const limit = 4 * 1024 ** 2
    const early = await Promise.all([1, 2, 3].map(() => chat(owner!.url, story(300))))
    const followers = await Promise.all(early.map(({ id }) => resume(other!.url, id)))
    for (const each of followers) await each.until(hasText)
    await redis.kill()
    await expectWhole(early, wordsOf(300))
    const ids: string[] = []
    for (let round = 0; round < 40; round++) {
      const readers = await Promise.all(
        Array.from({ length: 50 }, () => patiently(() => chat(owner!.url, story(100, { interval_ms: 0 })))),
      )
      await expectWhole(readers, wordsOf(100))
      ids.push(...readers.map(({ id }) => id))
      expect(await metricOf(owner!, 'sluice_log_bytes')).toBeLessThanOrEqual(limit)
      expect(await metricOf(owner!, 'sluice_memory_bytes')).toBeLessThanOrEqual(limit)
    }
    const published = await metricOf(owner!, 'sluice_store_streams')
    expect(published).toBeLessThan(2003)
    await redis.restart()
    for (const each of followers) {
      await each.end()
      expect(each.dones).toMatchObject([{ finish_reason: 'error' }])
    }
    await expect.poll(() => metricOf(owner!, 'sluice_store_streams')).toBe(0)
    const statuses = new Map<number, number>()
    for (const id of ids.filter((_, i) => i % 20 === 0)) {
      const reader = await (await patiently(() => resume(other!.url, id))).end()
      statuses.set(reader.status, (statuses.get(reader.status) ?? 0) + 1)
      if (reader.status === 200) await expectWhole([reader], wordsOf(100))
    }
    expect(new Set(statuses.keys())).toEqual(new Set([200, 404]))
    await expectUnharmed([owner!, other!])
  })
})
