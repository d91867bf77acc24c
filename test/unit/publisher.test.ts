import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Append, Backplane } from '../../src/store/backplane/backplane.ts'
import { MemoryBackplane } from '../../src/store/backplane/memory-backplane.ts'
import { Lease } from '../../src/store/nodes/lease.ts'
import { Publisher } from '../../src/store/nodes/publisher.ts'
import { Registrations } from '../../src/store/nodes/registrations.ts'
import { StreamLog } from '../../src/stream/stream-log.ts'
import { Outage } from '../support/nodes.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const LIFETIMES = { retentionMs: 60_000, tombstoneMs: 60_000, runningMs: 3_600_000 }

const DONE = { type: 'done', finish_reason: 'stop' } as const

/** A publisher over a backplane that can be away, with one registered stream. */
async function setUp() {
  const memory = new MemoryBackplane(LIFETIMES)
  const outage = new Outage()
  const away = outage.of(memory)
  const appended: Append[] = []
  const backplane: Backplane = new Proxy(away, {
    get: (target, name) =>
      name === 'append'
        ? (append: Append, renew: boolean) => {
            appended.push(append)
            return target.append(append, renew)
          }
        : Reflect.get(target, name),
  })
  const registrations = new Registrations(backplane)
  const lease = new Lease(backplane, { leaseMs: 1000, onLost: () => {}, onForgotten: () => {} })
  await lease.start()
  const publisher = new Publisher(backplane, lease, registrations, LIFETIMES, {
    stored() {},
    isFollowed: () => false,
    overtaken() {},
  })
  const log = new StreamLog({ id: 'str_1', owner: 'ada', model: 'm', provider: 'p', created: 0 })
  const { info } = log
  registrations.add({ info, epoch: lease.epoch, kept: undefined, key: undefined, alias: undefined })
  await memory.createStream({ id: info.id, info: JSON.stringify(info), kept: undefined, lease: lease.name })
  publisher.publish(log)
  return { memory, outage, appended, registrations, publisher, log }
}

const pass = (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds)

describe('a publisher whose backplane is away', () => {
  it('tries nothing, and stores all when the backplane is back', async () => {
    const { memory, outage, appended, publisher, log } = await setUp()
    outage.begin()
    log.append({ type: 'delta', content: 'a' })
    await pass(5000)
    log.append({ type: 'delta', content: 'b' })
    log.append(DONE)
    await pass(5000)
    expect(appended).toHaveLength(0)
    outage.end()
    publisher.verifyAll()
    await pass(100)
    expect(await memory.findStream('str_1')).toMatchObject({ last: 3, ended: true })
    expect(publisher.size).toBe(0)
  })

  it('gives up a stream that was dropped before that was known', async () => {
    const { memory, outage, publisher, registrations, log } = await setUp()
    log.append(DONE)
    publisher.abandon('str_1')
    outage.begin()
    await pass(1000)
    expect([publisher.size, registrations.get('str_1')]).toEqual([0, undefined])
    outage.end()
    publisher.verifyAll()
    await pass(100)
    expect(await memory.findStream('str_1')).toMatchObject({ expired: true })
  })
})

describe('a publisher', () => {
  it('waits before it tries again to store what was refused', async () => {
    const { memory, appended, log } = await setUp()
    const refusing = vi.spyOn(memory, 'append').mockRejectedValue(new Error('no room'))
    log.append({ type: 'delta', content: 'a' })
    await pass(2100)
    expect(appended.length).toBeLessThanOrEqual(5)
    refusing.mockRestore()
    log.append(DONE)
    await pass(600)
    expect(await memory.findStream('str_1')).toMatchObject({ last: 2, ended: true })
  })

  it('keeps nothing of a stored stream that is dropped', async () => {
    const { registrations, publisher, log } = await setUp()
    log.append(DONE)
    await pass(100)
    expect(registrations.get('str_1')).toBeDefined()
    publisher.abandon('str_1')
    expect(registrations.get('str_1')).toBeUndefined()
  })

  it('stores the end of a stream that is dropped meanwhile, and keeps nothing of it', async () => {
    const { memory, registrations, publisher, log } = await setUp()
    log.append(DONE)
    publisher.abandon('str_1')
    await pass(100)
    expect(await memory.findStream('str_1')).toMatchObject({ ended: true })
    expect([publisher.size, registrations.get('str_1')]).toEqual([0, undefined])
  })
})
