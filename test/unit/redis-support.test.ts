import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { describeWith } from '../support/programs.ts'
import { RedisClient } from '../support/redis-client.ts'
import { startRedisProxy, type RedisProxy } from '../support/redis-proxy.ts'
import { sharedRedis, startRedis, type RedisServer } from '../support/redis.ts'

describeWith('redis', 'a Redis for tests', (program) => {
  it('answers with strings, numbers, nothing, lists and errors', async () => {
    const redis = await startRedis(program)
    expect(new URL(redis.url).port).toBe(String(redis.port))
    const answers = await Promise.all([
      redis.command('SET', 'word', 'größe\r\n'),
      redis.command('GET', 'word'),
      redis.command('INCR', 'count'),
      redis.command('GET', 'none'),
      redis.command('EVAL', "return {1, {'two', false}, {}}", 0),
    ])
    expect(answers).toEqual(['OK', 'größe\r\n', 1, null, [1, ['two', null], []]])
    await expect(redis.command('INCR', 'word')).rejects.toThrow('ERR value is not an integer')
  })

  it('reads answers that come in many chunks', async () => {
    const redis = await startRedis(program)
    const long = 'é'.repeat(200_000)
    await redis.command('SET', 'long', long)
    expect(await redis.command('MGET', 'long', 'long')).toEqual([long, long])
  })

  it('comes back empty on its port after it was killed', async () => {
    const redis = await startRedis(program)
    const { pid, port } = redis
    await redis.command('SET', 'key', 'value')
    await redis.kill()
    await expect(redis.command('PING')).rejects.toThrow('ECONNREFUSED')
    await redis.restart()
    expect(redis.port).toBe(port)
    expect(redis.pid).not.toBe(pid)
    expect(await redis.command('DBSIZE')).toBe(0)
  })

  it('fails the commands that wait when it is killed', async () => {
    const redis = await startRedis(program)
    const failed = expect(redis.command('BLPOP', 'list', 0)).rejects.toThrow()
    await redis.kill()
    await failed
  })

  it('answers nothing while it is paused', async () => {
    const redis = await startRedis(program)
    await redis.command('PING')
    redis.pause()
    const before = redis.command('TIME')
    const client = new RedisClient(redis.url)
    const other = client.command('PING').then(() => 'another connection')
    const answered = await Promise.race([before, other, new Promise((resolve) => setTimeout(resolve, 100, 'nothing'))])
    expect(answered).toBe('nothing')
    redis.resume()
    expect(await before).toHaveLength(2)
    expect(await other).toBe('another connection')
    client.close()
  })

  it('refuses writes and still reads', async () => {
    const redis = await startRedis(program)
    await redis.command('SET', 'key', 'value')
    await redis.refuseWrites()
    await expect(redis.command('SET', 'key', 'other')).rejects.toThrow('OOM')
    expect(await redis.command('GET', 'key')).toBe('value')
    await redis.acceptWrites()
    expect(await redis.command('SET', 'key', 'other')).toBe('OK')
    await redis.flush()
    expect(await redis.command('DBSIZE')).toBe(0)
  })

  it('asks for a password', async () => {
    const redis = await startRedis(program, { password: 'sesame:1' })
    expect(await redis.command('PING')).toBe('PONG')
    const stranger = new RedisClient(`redis://127.0.0.1:${redis.port}`)
    await expect(stranger.command('PING')).rejects.toThrow('NOAUTH')
    stranger.close()
  })

  it('has a user with rights of its own', async () => {
    const redis = await startRedis(program, {
      password: 'root',
      user: { name: 'sluice', password: 'secret', rules: '~sluice:* &* +@all -@dangerous' },
    })
    const client = new RedisClient(redis.url)
    expect(await client.command('ACL', 'WHOAMI')).toBe('sluice')
    expect(await client.command('SET', 'sluice:key', 1)).toBe('OK')
    await expect(client.command('SET', 'key', 1)).rejects.toThrow('NOPERM')
    await expect(client.command('FLUSHALL')).rejects.toThrow('NOPERM')
    client.close()
    await redis.flush()
  })

  it('speaks TLS', async () => {
    const redis = await startRedis(program, { tls: true, password: 'secret' })
    expect(redis.url).toBe(`rediss://:secret@127.0.0.1:${redis.port}`)
    expect(await redis.command('PING')).toBe('PONG')
    await expect(new RedisClient(`redis://127.0.0.1:${redis.port}`).command('PING')).rejects.toThrow()
  })

  it('says why it does not start', async () => {
    await expect(startRedis(program, { settings: ['no-such-setting 1'] })).rejects.toThrow('no-such-setting')
  })

  it('is one for all tests of a worker', async () => {
    const redis = await sharedRedis()
    expect(await sharedRedis()).toBe(redis)
    expect(await redis.command('PING')).toBe('PONG')
  })
})

describeWith('redis', 'a proxy before a Redis', (program) => {
  async function start(): Promise<{ redis: RedisServer; proxy: RedisProxy; client: RedisClient }> {
    const redis = await startRedis(program)
    const proxy = await startRedisProxy(redis.url)
    const client = new RedisClient(proxy.url)
    onTestFinished(() => client.close())
    return { redis, proxy, client }
  }

  it('passes on and counts the bytes of each direction', async () => {
    const { proxy, client } = await start()
    expect(await client.command('ECHO', 'word')).toBe('word')
    expect(proxy.bytes).toEqual({ toRedis: 24, fromRedis: 10 })
    const long = 'a'.repeat(3_000_000)
    expect(await client.command('ECHO', long)).toBe(long)
    expect(proxy.bytes.fromRedis).toBeGreaterThan(3_000_000)
  })

  it('has the user and the password of the Redis in its URL', async () => {
    const redis = await startRedis(program, { user: { name: 'sluice', password: 'secret' } })
    const proxy = await startRedisProxy(redis.url)
    const client = new RedisClient(proxy.url)
    expect(await client.command('ACL', 'WHOAMI')).toBe('sluice')
    client.close()
  })

  it('passes on TLS', async () => {
    const redis = await startRedis(program, { tls: true })
    const client = new RedisClient((await startRedisProxy(redis.url)).url)
    expect(await client.command('PING')).toBe('PONG')
    client.close()
  })

  it('delays, and lets nothing overtake what came before', async () => {
    const { proxy, client } = await start()
    await client.command('PING')
    const delays = [40, 20, 30, 10, 0]
    const answers: Promise<unknown>[] = []
    for (const delay of delays) {
      proxy.delay(delay)
      answers.push(client.command('ECHO', delay))
      // So that the proxy gets it now, and alone.
      await nextTurn()
    }
    expect(await Promise.all(answers)).toEqual(delays.map(String))
    proxy.delay(100)
    const sent = performance.now()
    await client.command('PING')
    expect(performance.now() - sent).toBeGreaterThanOrEqual(100)
  })

  it('cuts connections, and takes new ones', async () => {
    const { proxy, client } = await start()
    await client.command('PING')
    const failed = expect(client.command('BLPOP', 'list', 0)).rejects.toThrow()
    proxy.cut()
    await failed
    expect(await client.command('PING')).toBe('PONG')
  })

  it('refuses new connections, and keeps those there are', async () => {
    const { proxy, client } = await start()
    await client.command('PING')
    proxy.refuse()
    const other = new RedisClient(proxy.url)
    await expect(other.command('PING')).rejects.toThrow('ECONNREFUSED')
    expect(await client.command('PING')).toBe('PONG')
    await proxy.accept()
    expect(await other.command('PING')).toBe('PONG')
    other.close()
  })

  it('stalls without closing, and loses nothing', async () => {
    const { redis, proxy, client } = await start()
    await client.command('PING')
    proxy.stall()
    const before = { ...proxy.bytes }
    const answers = Promise.all([client.command('INCR', 'count'), client.command('INCR', 'count')])
    const other = new RedisClient(proxy.url)
    const late = other.command('PING')
    const answered = await Promise.race([answers, late, new Promise((resolve) => setTimeout(resolve, 100, 'nothing'))])
    expect(answered).toBe('nothing')
    expect(proxy.bytes).toEqual(before)
    expect(await redis.command('EXISTS', 'count')).toBe(0)
    proxy.flow()
    expect(await answers).toEqual([1, 2])
    expect(await late).toBe('PONG')
    other.close()
  })

  it('closes the connections of clients when the Redis is killed, and finds it again', async () => {
    const { redis, client } = await start()
    await client.command('PING')
    const failed = expect(client.command('BLPOP', 'list', 0)).rejects.toThrow()
    await redis.kill()
    await failed
    await expect(client.command('PING')).rejects.toThrow()
    await redis.restart()
    expect(await client.command('PING')).toBe('PONG')
  })
})
