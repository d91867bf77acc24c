import { expect, it, vi } from 'vitest'
import { describeWith } from '../support/programs.ts'
import { startRedisCluster, startSentinels } from '../support/redis-topologies.ts'

describeWith('redis', 'a Redis cluster for tests', (program) => {
  it('shares the slots among three masters', async () => {
    const { url, nodes, kill } = await startRedisCluster(program)
    expect(url).toBe(`redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join()}`)
    const answers = await Promise.all(nodes.map((node) => node.command('SET', 'key', 'value').catch(String)))
    const slot = await nodes[0]!.command('CLUSTER', 'KEYSLOT', 'key')
    expect(answers.filter((answer) => answer === 'OK')).toHaveLength(1)
    expect(answers.filter((answer) => String(answer).includes(`MOVED ${String(slot)} `))).toHaveLength(2)
    await kill(0)
    await vi.waitUntil(async () => String(await nodes[1]!.command('CLUSTER', 'INFO')).includes('state:fail'), 30_000)
  })

  it('puts a replica in the place of a master that is killed', async () => {
    const { nodes, kill } = await startRedisCluster(program, { replicas: 1 })
    expect(nodes).toHaveLength(6)
    await kill(0)
    const survivors = nodes.slice(1)
    await vi.waitUntil(async () => {
      const roles = await Promise.all(survivors.map(async (node) => ((await node.command('ROLE')) as string[])[0]))
      return roles.filter((role) => role === 'master').length === 3
    }, 30_000)
  })
})

describeWith('redis', 'a Redis with a replica for tests', (program) => {
  describeWith('redisSentinel', 'and sentinels', (sentinelProgram) => {
    it('make the replica the master when the master is killed', async () => {
      const { url, master, replica, sentinels, failOver } = await startSentinels(program, sentinelProgram)
      expect(url).toBe(`redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join()}/sluice`)
      await master.command('SET', 'key', 'value')
      expect(await master.command('WAIT', 1, 0)).toBe(1)
      await expect(replica.command('SET', 'key', 'other')).rejects.toThrow('READONLY')
      await failOver()
      expect(await replica.command('GET', 'key')).toBe('value')
      expect(await replica.command('SET', 'key', 'other')).toBe('OK')
    })
  })
})
