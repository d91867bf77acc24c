import { onTestFinished } from 'vitest'
import { RedisBackplane } from '../../src/store/backplane/redis-backplane.ts'
import { parseRedisUrl } from '../../src/store/backplane/redis-url.ts'
import { describeWith } from '../support/programs.ts'
import { sharedRedis } from '../support/redis.ts'
import { describeBackplane } from './backplane.ts'

/** Redis has no clock that can be set, so all that ends at some time is made to end sooner. ARGV: prefix, ms. */
const AGE = `
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
  local left = redis.call('PTTL', key)
  if redis.call('TYPE', key).ok == 'hash' then
    local at = redis.call('HGET', key, 'until')
    if at then redis.call('HSET', key, 'until', string.format('%.0f', at - ARGV[2])) end
  end
  if left >= 0 then redis.call('PEXPIRE', key, left - ARGV[2]) end
end`

describeWith('redis', 'Redis', () => {
  describeBackplane('Redis', async (lifetimes) => {
    const redis = await sharedRedis()
    const prefix = `test:${Math.random()}:`
    const connect = async () => {
      const backplane = new RedisBackplane(parseRedisUrl(redis.url), { ...lifetimes, prefix, onFault: () => {} })
      onTestFinished(() => backplane.close())
      await backplane.connect()
      return backplane
    }
    return {
      backplane: await connect(),
      other: await connect(),
      pass: async (milliseconds) => void (await redis.command('EVAL', AGE, 0, prefix, milliseconds)),
    }
  })
})
