import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import { RedisBackplane } from '../../src/store/backplane/redis-backplane.ts'
import { parseRedisUrl } from '../../src/store/backplane/redis-url.ts'
import { describeWith } from '../support/programs.ts'
import { sharedRedis } from '../support/redis.ts'
import { describeBackplane } from './backplane.ts'

describeWith('redis', 'Redis', () => {
  describeBackplane('Redis', async (lifetimes) => {
    const { url } = await sharedRedis()
    const prefix = `test:${Math.random()}:`
    const connect = async () => {
      const backplane = new RedisBackplane(parseRedisUrl(url), { ...lifetimes, prefix, onFault: () => {} })
      onTestFinished(() => backplane.close())
      await backplane.connect()
      return backplane
    }
    return {
      backplane: await connect(),
      other: await connect(),
      pass: (milliseconds) => sleep(milliseconds + 20),
    }
  })
})
